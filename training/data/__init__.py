"""Data: from rows of a data set to batches of images, lines and holes."""
