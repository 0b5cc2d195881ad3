"""Loading a pipeline: what a model may be called, and what went wrong."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HfHubHTTPError

from .pictures.notices import warn

BUNDLED_MODEL = Path(__file__).parent / "checkpoints" / "buildings"
_WITHDRAWN = BUNDLED_MODEL.with_name("facades")  # the bundled model of release 1


def present_name(name: str | os.PathLike[str] | None) -> str | os.PathLike[str]:
    """The bundled model's folder for None and, with a warning, for the folder of the one before; else `name`."""
    if name is not None and Path(name).absolute() == _WITHDRAWN:
        warn(f"The model in {str(name)!r} is withdrawn; the one in {str(BUNDLED_MODEL)!r} is taken in its place.")
        return BUNDLED_MODEL
    return BUNDLED_MODEL if name is None else name


def is_hub_id(name: str) -> bool:
    """Whether `name` may be a model's on the Hub: `user/model`."""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name) is not None


def check_model_name(name: str | os.PathLike[str]) -> None:
    """Refuse what is neither the folder of a pipeline nor a Hub id.

    Raises:
        ValueError: it is neither; the message says what it is.
    """
    if Path(name).is_dir():
        if not (Path(name) / "model_index.json").is_file():
            raise ValueError(
                f"`pretrained_model_name_or_path` is the folder {str(name)!r}, which has no model_index.json; "
                "expected a folder written by `save_pretrained` or `edgeconnect convert`."
            )
    elif not is_hub_id(str(name)):
        raise ValueError(
            f"`pretrained_model_name_or_path` is {str(name)!r}, which is neither a folder here nor a model on the Hub "
            "('user/model')."
        )


def check_dtype(options: Mapping[str, Any]) -> None:
    """Refuse a dtype given as text, for which diffusers would quietly load fp32.

    Raises:
        TypeError: it is text.
    """
    for argument in ("dtype", "torch_dtype"):
        if isinstance(options.get(argument), str):
            raise TypeError(f"`{argument}` must be a torch.dtype, as torch.bfloat16: got {options[argument]!r}.")


@contextmanager
def explained(name: str | os.PathLike[str]) -> Iterator[None]:
    """Say where a model was looked for, if loading it fails; what the Hub answered, if it did."""
    try:
        yield
    except OSError as error:
        if isinstance(error.__cause__, HfHubHTTPError):  # diffusers hides it
            raise error.__cause__ from None
        if Path(name).is_dir():
            raise
        raise OSError(
            f"`pretrained_model_name_or_path` is {str(name)!r}, neither a folder here nor a model that the Hub "
            f"serves: {error}"
        ) from error
