"""Models on the Hub: the way there, and the card that goes with them."""

from .push import PushError, push_folder, push_model

__all__ = ["PushError", "push_folder", "push_model"]
