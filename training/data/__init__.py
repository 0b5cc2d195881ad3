"""Data: from rows of a data set to batches of pictures, lines and holes."""
