"""Regions of a photo, nested: small ones of one colour, joined pair by pair until one is left.

The cheapest pair comes first, by Ward's method, so that letters join the plate they stand on before the plate joins the
wall. What a click means is one of the regions around it: the one that stands out best.
"""

import heapq
import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .holes import tight

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

_FEWEST = 12  # pixels of a region that may be an object
_MOST = 0.5  # of the photo
_USUAL, _SPREAD = 0.015, 1.6  # objects take about so much of a photo, give or take that many powers of e
_CONTRAST = 40  # Lab; more does not make an object more of one
_PER_PIXEL = 0.2  # a region that a click misses counts less by so much
_STEP = 1.15  # regions that grow by less are looked at once
_SQUARE = np.ones((3, 3), np.uint8)


class Regions:
    """The nested regions of a small picture.

    Args:
        lab (`np.ndarray`): `[h,w,3]` float32, CIE Lab; some 100,000 pixels take a quarter of a second.
    """

    def __init__(self, lab: Floats):
        self.lab = lab
        self.leaves = _leaves(lab)  # [h,w], the smallest regions by number
        count = int(self.leaves.max()) + 1
        self._areas, self._parents = _join(self.leaves, lab, count)

    def around(self, x: int, y: int) -> Iterator[Bools]:
        """The regions that hold a pixel, each in the next, as `[h,w]` bool without enclosed gaps."""
        path = [int(self.leaves[y, x])]
        while (parent := self._parents[path[-1]]) >= 0:
            path.append(parent)
        places = np.full(len(self._parents), -1)
        places[path] = np.arange(len(path))
        for node in range(len(places) - 1, -1, -1):  # parents have the larger numbers
            if places[node] < 0:
                places[node] = places[self._parents[node]]
        entered = places[self.leaves]  # [h,w], the place of the first region that has the pixel
        for place, node in enumerate(path):
            if _FEWEST <= self._areas[node] <= _MOST * self.leaves.size:
                yield without_gaps(entered <= place)

    def object_at(self, x: int, y: int, slack: int = 0, longest: float = math.inf) -> Bools | None:
        """The region that stands out best around a pixel, or around one nearby; None if there is none.

        Args:
            x, y (`int`): the pixel.
            slack (`int`): by how many pixels a click may be off.
            longest (`float`): the most pixels that the object is long.
        """
        height, width = self.leaves.shape
        rows, columns = np.mgrid[max(0, y - slack) : y + slack + 1, max(0, x - slack) : x + slack + 1]
        rows, columns = np.minimum(rows, height - 1).ravel(), np.minimum(columns, width - 1).ravel()
        distances = np.hypot(rows - y, columns - x)
        best, best_score, seen = None, 0.0, set()
        for place in np.argsort(distances, kind="stable").tolist():
            leaf = self.leaves[rows[place], columns[place]]
            if distances[place] > slack or leaf in seen:
                continue
            seen.add(leaf)
            last = 0.0
            for region in self.around(int(columns[place]), int(rows[place])):
                if length(region) > longest:
                    break
                if (area := float(region.sum())) < _STEP * last:
                    continue
                last = area
                score = _stands_out(self.lab, region) * (1 - _PER_PIXEL * distances[place])
                if score > best_score:
                    best, best_score = region, score
        return best


def without_gaps(region: Bools) -> Bools:
    """`[h,w]` with what it encloses."""
    padded = np.pad(region, 1).astype(np.uint8)
    cv2.floodFill(padded, None, (0, 0), (2,))
    return padded[1:-1, 1:-1] != 2


def hull(region: Bools) -> Bools:
    """The convex hull of `[h,w]`."""
    contours, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    drawn = np.zeros(region.shape, np.uint8)
    cv2.fillPoly(drawn, [cv2.convexHull(np.concatenate(contours))], (1,))
    return drawn > 0


def length(region: Bools) -> int:
    """The longer side of the box around `[h,w]`."""
    top, left, bottom, right = tight(region)
    return max(bottom - top, right - left)


def _leaves(lab: Floats) -> npt.NDArray[np.intp]:
    """Basins `[h,w]` of the gradient, numbered from 0."""
    gradient: npt.NDArray[Any] = np.zeros(lab.shape[:2], np.float32)
    for channel in cv2.split(lab):
        dx, dy = (cv2.Sobel(channel, cv2.CV_32F, 1 - axis, axis) for axis in (0, 1))
        gradient = np.maximum(gradient, cv2.magnitude(dx, dy))
    gradient = cv2.GaussianBlur(gradient, (0, 0), 1)
    minima = gradient <= cv2.erode(gradient, np.ones((5, 5), np.uint8)) + 1e-3
    _, seeds = cv2.connectedComponents(minima.astype(np.uint8))
    eight_bits = np.clip(lab + np.array([0, 128, 128], np.float32), 0, 255).astype(np.uint8)
    shown, seeds = (cv2.copyMakeBorder(planes, 1, 1, 1, 1, cv2.BORDER_REPLICATE) for planes in (eight_bits, seeds))
    basins = cv2.watershed(shown, seeds)[1:-1, 1:-1].astype(np.float32)  # it leaves the frame and the watersheds out
    while (basins < 1).any():
        basins = np.where(basins < 1, cv2.dilate(basins, _SQUARE), basins)
    return np.unique(basins, return_inverse=True)[1].reshape(basins.shape)


def _join(leaves: npt.NDArray[np.intp], lab: Floats, count: int) -> tuple[list[float], list[int]]:
    """Join neighbours, the most alike first.

    Returns:
        Areas and parents of all regions, leaves first, then in the order in which they were joined; -1 for the last.
    """
    flat = leaves.ravel()
    sizes = np.bincount(flat, minlength=count)
    colours = [(np.bincount(flat, lab[..., c].ravel(), minlength=count) / sizes).tolist() for c in range(3)]
    means = list(zip(*colours, strict=True))
    areas: list[float] = sizes.astype(float).tolist()
    parents = [-1] * count
    borders = _borders(leaves, count)

    def cost(one: int, other: int) -> float:
        """The variance that joining adds; a long common border makes it cheaper."""
        difference = sum((a - b) ** 2 for a, b in zip(means[one], means[other], strict=True))
        ward = difference * areas[one] * areas[other] / (areas[one] + areas[other])
        return float(ward / borders[one][other] ** 0.5)

    waiting = [(cost(one, other), one, other) for one in range(count) for other in borders[one] if one < other]
    heapq.heapify(waiting)
    while waiting:
        _, *pair = heapq.heappop(waiting)
        one, other = pair
        if parents[one] >= 0 or parents[other] >= 0:
            continue
        joined, area = len(areas), areas[one] + areas[other]
        means.append(
            tuple((a * areas[one] + b * areas[other]) / area for a, b in zip(means[one], means[other], strict=True))
        )
        areas.append(area)
        parents[one] = parents[other] = joined
        parents.append(-1)
        around: dict[int, int] = {}
        for part in pair:
            for neighbour, length in borders[part].items():
                if neighbour not in pair:
                    around[neighbour] = around.get(neighbour, 0) + length
        borders.append(around)
        for neighbour, length in around.items():
            borders[neighbour].pop(one, None)
            borders[neighbour].pop(other, None)
            borders[neighbour][joined] = length
            heapq.heappush(waiting, (cost(neighbour, joined), neighbour, joined))
    return areas, parents


def _borders(leaves: npt.NDArray[np.intp], count: int) -> list[dict[int, int]]:
    """For each leaf its neighbours, and how many pixels long their common borders are."""
    codes = []
    for one, other in ((leaves[:, :-1], leaves[:, 1:]), (leaves[:-1], leaves[1:])):
        differ = one != other
        codes.append(np.minimum(one[differ], other[differ]) * count + np.maximum(one[differ], other[differ]))
    borders: list[dict[int, int]] = [{} for _ in range(count)]
    for code, length in zip(
        *(found.tolist() for found in np.unique(np.concatenate(codes), return_counts=True)), strict=True
    ):
        one, other = divmod(code, count)
        borders[one][other] = borders[other][one] = length
    return borders


def _stands_out(lab: Floats, region: Bools) -> float:
    """How much of an object a region is: its contrast along the border, its size, its convexity."""
    area, frame = float(region.sum()), region.shape
    top, left, bottom, right = tight(region)
    here = slice(max(0, top - 5), min(frame[0], bottom + 5)), slice(max(0, left - 5), min(frame[1], right + 5))
    part = region[here].astype(np.float32)
    inside, outside = part[..., None], 1 - part[..., None]
    difference = _local_mean(lab[here], inside) - _local_mean(lab[here], outside)
    contrast = np.minimum(np.linalg.norm(difference, axis=2), _CONTRAST)
    eroded = cv2.erode(np.pad(part, 1), _SQUARE)[1:-1, 1:-1]  # beyond the frame is no region
    row, column = np.ogrid[here]
    at_frame = (row == 0) | (column == 0) | (row == frame[0] - 1) | (column == frame[1] - 1)
    mean_contrast = np.where(at_frame, 0, contrast)[part > eroded].mean()  # nothing is seen beyond the frame
    usual = np.exp(-(np.log(area / region.size / _USUAL) ** 2) / (2 * _SPREAD**2))
    convexity = area / hull(part > 0).sum()
    return float(mean_contrast * usual * convexity**1.5)


def _local_mean(values: Floats, weights: Floats) -> npt.NDArray[Any]:
    """The mean `[h,w,C]` of the weighted pixels in a square around each."""
    weighted, shares = (cv2.boxFilter(planes, -1, (7, 7), normalize=False) for planes in (values * weights, weights))
    return weighted / np.maximum(shares, 1)[..., None]
