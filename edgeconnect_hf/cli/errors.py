"""How the command line reports errors and warnings: one line each, on standard error."""

import errno
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image
from tqdm import tqdm

EXPECTED_ERRORS = (ValueError, TypeError, OSError, Image.DecompressionBombError)
NO_MORE_WRITES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # full, over quota, read-only: no further file either


def one_line(error: BaseException) -> str:
    """The message of `error` on a single line, or its type if the message is empty."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def warnings_on_one_line(about: str = "") -> Iterator[None]:
    """Show warnings without file name and line number, and clear of a progress bar.

    Args:
        about (`str`): what they are about, the photo where there are several.
    """

    def show(message: Warning | str, *place: object, **more: object) -> None:
        tqdm.write(f"edgeconnect: warning: {f'{about}: ' if about else ''}{message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
