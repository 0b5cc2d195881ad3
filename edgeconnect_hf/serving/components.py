"""Inputs and results of endpoints, whose files are not read before their job has its turn."""

from abc import ABCMeta
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta


class _WithoutStub(ComponentMeta):
    """Makes a component's subclass without the `.pyi` that Gradio writes beside its source."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


class FileImage(gr.Image, metaclass=_WithoutStub):
    """An image whose value is the path of its file: the job that needs it reads it, within limits."""

    is_template = True  # to the page it is a gr.Image

    def preprocess(self, payload: Any) -> str | None:
        return None if payload is None else payload.path
