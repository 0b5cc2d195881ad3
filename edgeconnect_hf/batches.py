"""Windows that run through a network together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from .models import MIN_SIZE, SIZE_MULTIPLE
from .pictures import Array
from .views import View

_MAX_BATCH_PIXELS = 2**20  # windows of several photos run together up to this many pixels; a larger one runs alone


def batches(views: Sequence[View], places: Iterable[int]) -> list[tuple[int, ...]]:
    """The `places` of views that run together: of one size, each of another photo, so that a photo's windows do not
    depend on each other (a batch may change the last bit of a float sum)."""
    alike: defaultdict[tuple[tuple[int, int], int], list[int]] = defaultdict(list)
    counts: defaultdict[tuple[int, tuple[int, int]], int] = defaultdict(int)
    for place in places:
        size = views[place].window.work_size
        alike[size, counts[views[place].picture, size]].append(place)
        counts[views[place].picture, size] += 1
    batches = []
    for ((height, width), _), together in alike.items():
        length = max(1, _MAX_BATCH_PIXELS // (height * width))
        batches += [tuple(together[start : start + length]) for start in range(0, len(together), length)]
    return batches


def to_tensor(arrays: Sequence[Array]) -> torch.Tensor:
    """Arrays `[h,w]` or `[h,w,C]` of one shape to `[N,C,h,w]`."""
    stacked = torch.from_numpy(np.stack(arrays))
    return stacked[:, None] if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2)


def pad(planes: torch.Tensor) -> torch.Tensor:
    """`[N,C,h,w]` to the next multiple of 4, at least 16, on the right and below."""
    height, width = planes.shape[-2:]
    bottom, right = (max(MIN_SIZE, -(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE) - side for side in (height, width))
    mode = "reflect" if min(height, width) >= MIN_SIZE else "replicate"
    return F.pad(planes, (0, right, 0, bottom), mode=mode) if bottom or right else planes
