"""What the windows of any mask have in common, for the tests of windows and of tiles."""

import numpy as np


def assert_each_hole_pixel_has_one_window(mask: np.ndarray, windows: list) -> None:
    """Each pixel of the hole lies in one window's hole, no other in two; holes lie in views, views in the photo."""
    owners = np.zeros(mask.shape, int)
    for window in windows:
        owners[window.hole_slices] += 1
        top, left, bottom, right = window.view
        assert 0 <= top <= window.hole[0] < window.hole[2] <= bottom <= mask.shape[0]
        assert 0 <= left <= window.hole[1] < window.hole[3] <= right <= mask.shape[1]
    assert (owners[mask] == 1).all()
    assert owners.max(initial=0) <= 1
