"""Checkpoints: folders that are whole or passed over, and the state of a run in them."""
