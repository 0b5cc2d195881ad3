"""Warnings that point at the line which called this package."""

import sys
import warnings

_OURS = (__package__.partition(".")[0], "torch")  # torch's decorators stand between a caller and the pipeline


def warn(message: str) -> None:
    """A `UserWarning` for the nearest caller outside this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
