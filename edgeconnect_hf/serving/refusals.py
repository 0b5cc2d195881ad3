"""What a visitor reads when a request is refused."""

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

BUSY = "The server is busy. Please try again in a minute."
UNEXPECTED = "This request could not be processed."


def refusal(message: str) -> gr.Error:
    """An error for the visitor to read. It is not the server's fault, so the log gets no traceback."""
    return gr.Error(message, print_exception=False)


class GoneError(gr.Error):
    """The one answer for every file that a visitor may not name: absent, somebody else's, or no file at all."""

    def __init__(self, name: str):
        message = f"The {name} is not available. It may have been deleted: please upload it again."
        super().__init__(message, print_exception=False)


@contextmanager
def as_refusals() -> Iterator[None]:
    """Turn the package's errors about arguments into refusals."""
    try:
        yield
    except gr.Error:
        raise
    except (ValueError, TypeError) as error:
        raise refusal(str(error)) from error
