"""Evaluation: methods compared on the same pictures with the same holes."""
