"""Gradio components that leave files unread: the jobs that need them read them, within limits."""

import threading
from abc import ABCMeta
from typing import Any

import gradio as gr
from fastapi import HTTPException
from gradio.component_meta import ComponentMeta
from gradio.components.base import server
from gradio.components.image_editor import AcceptBlobs, EditorData

from .refusals import refusal

MAX_LAYERS = 4  # the page has one
_MAX_BLOB_BYTES = 8 * 2**20  # a canvas has a megapixel at most
_MAX_STORED_BYTES = 64 * 2**20  # of all layers that wait for their event; the oldest go first


class _WithoutStub(ComponentMeta):
    """Makes a component's subclass without the `.pyi` that Gradio writes beside its source."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


class FileImage(gr.Image, metaclass=_WithoutStub):
    """An image whose value is the path of its file."""

    is_template = True  # to the page it is a gr.Image

    def preprocess(self, payload: Any) -> str | None:
        return None if payload is None else payload.path


class LayersEditor(gr.ImageEditor, metaclass=_WithoutStub):
    """An editor whose value is its layers, each bytes or a path; None if it shows nothing.

    Gradio re-creates the component for a session that changes its size, so the class keeps the layers that pages send.
    """

    is_template = True  # to the page it is a gr.ImageEditor
    lock = threading.Lock()
    stored: dict[str, dict[int, bytes]] = {}  # noqa: RUF012  layers by the id that the page chose, newest last

    def preprocess(self, payload: EditorData | None) -> list[bytes | str] | None:  # type: ignore[override]
        if payload is None:
            return None
        with self.lock:
            stored = self.stored.pop(payload.id or "", None)
        layers: list[bytes | str] = []
        if stored is not None:
            layers += [stored[number] for number in sorted(stored)]
        else:
            layers += [layer.path for layer in payload.layers if layer is not None]
        if len(layers) > MAX_LAYERS:
            raise refusal(f"This drawing has {len(layers)} layers; up to {MAX_LAYERS} are accepted.")
        return layers

    @server
    def accept_blobs(self, data: AcceptBlobs) -> None:
        """Keep a layer that a page sends ahead of its event."""
        try:
            kind, key = data.data["type"], data.data["id"]
            number = int(data.data["index"] or 0) if kind == "layer" else 0
            ((_, content),) = data.files
        except (KeyError, ValueError, TypeError):
            raise HTTPException(400, "This drawing could not be read.") from None
        if not 0 <= number < MAX_LAYERS or len(key) > 100 or len(content) > _MAX_BLOB_BYTES:
            raise HTTPException(413, "This drawing is too large.")
        with self.lock:
            layers = self.stored.pop(key, {})
            if kind == "layer":  # background and composite are not needed
                layers[number] = content
            self.stored[key] = layers
            while len(self.stored) > 1 and sum(map(_size, self.stored.values())) > _MAX_STORED_BYTES:
                del self.stored[next(iter(self.stored))]


def _size(layers: dict[int, bytes]) -> int:
    return 1000 + sum(map(len, layers.values()))
