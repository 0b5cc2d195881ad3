"""Evaluation: methods compared on the same images with the same holes."""
