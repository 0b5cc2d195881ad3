"""Memory of a run on a CPU."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's mallopt
_LARGEST = 2**31 - 1  # bytes


def keep_freed_memory() -> bool:
    """Keep freed memory for the next tensor, in this process; by default large blocks go back to the system at once.

    An update allocates and frees the same blocks as the one before, and the system clears every page that it gives: a
    tenth of the time of an update on a CPU. Only glibc can do it.

    Returns:
        Whether it did.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _LARGEST))
