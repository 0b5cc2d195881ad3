"""What a visitor reads who asks for too much."""

import gradio as gr

BUSY = "The server is busy. Please try again in a minute."


def refusal(message: str) -> gr.Error:
    """An error that the visitor reads; it is of their making, so the log shows no traceback."""
    return gr.Error(message, print_exception=False)


def busy() -> gr.Error:
    """For a visitor who comes when there is too much to do."""
    return refusal(BUSY)


def gone(name: str) -> gr.Error:
    """The one answer for every file that a visitor may not name: absent, somebody else's, or no file at all."""
    return refusal(f"The {name} is not available. It may have been deleted: please upload it again.")
