"""EdgeConnect (Nazeri et al., 2019, arXiv 1901.00212) as a Hugging Face model package.

Names are resolved on first use (PEP 562), so that `import edgeconnect_hf` costs nothing; the first name taken from here
brings in torch and diffusers, and taking the pipeline or a generator registers both with diffusers' loader.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LAZY = {
    "CompletionGenerator": "models",
    "EdgeConnectPipeline": "pipeline",
    "EdgeConnectPipelineOutput": "pipeline",
    "EdgeGenerator": "models",
    "GeneratorOutput": "models",
    "canny": "edges",
    "convert_checkpoints": "formats.published",
    "select_object": "selection",
    "to_gray": "edges",
}

__all__ = ["__version__", *sorted(_LAZY)]

if TYPE_CHECKING:
    from .edges import canny as canny
    from .edges import to_gray as to_gray
    from .formats.published import convert_checkpoints as convert_checkpoints
    from .models import CompletionGenerator as CompletionGenerator
    from .models import EdgeGenerator as EdgeGenerator
    from .models import GeneratorOutput as GeneratorOutput
    from .pipeline import EdgeConnectPipeline as EdgeConnectPipeline
    from .pipeline import EdgeConnectPipelineOutput as EdgeConnectPipelineOutput
    from .selection import select_object as select_object


def __getattr__(name: str) -> Any:
    if name == "ModelMixin":  # for diffusers: see registration.py
        return importlib.import_module("diffusers").ModelMixin
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
