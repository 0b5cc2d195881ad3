"""Models and Spaces on the Hub: the way there, and the card that goes with a model."""

from .push import PushError, push_folder, push_model
from .space import push_space

__all__ = ["PushError", "push_folder", "push_model", "push_space"]
