"""How the command line reports errors and warnings: one line each, on standard error."""

import sys
from typing import TextIO

from PIL import Image
from tqdm import tqdm

EXPECTED_ERRORS = (ValueError, TypeError, OSError, Image.DecompressionBombError)


def one_line(error: BaseException) -> str:
    """The message of `error` on a single line, or its type if the message is empty."""
    return " ".join(str(error).split()) or type(error).__name__


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Replace `warnings.showwarning`: no file name, no line number, and no clash with a progress bar."""
    tqdm.write(f"edgeconnect: warning: {message}", file=sys.stderr)
