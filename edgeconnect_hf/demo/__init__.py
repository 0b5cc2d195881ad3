"""The web page and its API: paint a mask, see the lines, edit them, complete. Needs the extra `demo`.

Names are resolved on first use (PEP 562): `Limits` alone needs no Gradio.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..serving.limits import Limits as Limits
    from .app import EXAMPLES as EXAMPLES
    from .app import build_demo as build_demo
    from .app import launch as launch

_LAZY = {"EXAMPLES": ".app", "Limits": "..serving.limits", "build_demo": ".app", "launch": ".app"}

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name], __name__), name)
