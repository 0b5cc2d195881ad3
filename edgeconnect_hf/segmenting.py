"""The built-in segmenter: nested regions say what is meant, GrabCut where it ends; both on a reduced copy."""

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from .holes import grow, tight
from .regions import Bools, Floats, Regions, hull, length, without_gaps

Bytes = npt.NDArray[np.uint8]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
Pixel = tuple[int, int]  # x, y

_LONG_SIDE = 400  # pixels of the reduced copy; all lengths below are in such pixels
_SLACK = 3  # by which a click may be off
_SAMPLES = 8  # places along a scribble
_MUCH_LONGER = 1.25  # than a scribble no object is
_ROUNDS = 3  # of GrabCut
_WHOLE = 0.75  # a region that fills so much of its hull is a plate, a window, a car: the hull is the object
_LETTER = 0.08  # of the photo's height: up to here, like things in a row are lettering
_WIDE = 6  # times as high as wide: more is no letter, nor a few that touch
_GAP = 0.9  # between letters, at most, of their height
_CLEAR = 12  # Lab; what stands out less from its ground is no lettering
_SMALLEST = 0.05  # of a box: less is no object found in it


def segment(
    photo: Bytes, *, points: list[Point], background_points: list[Point], box: Box | None, scribble: Bools | None
) -> Bools:
    """The object and its rim. Arguments and result: see `select_object`, `segmenter`."""
    height, width = photo.shape[:2]
    scale = min(1.0, _LONG_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = cast("Bytes", cv2.resize(photo, size[::-1], interpolation=cv2.INTER_AREA))
    across, down = size[1] / width, size[0] / height
    on, off = (
        [(min(int(x * across), size[1] - 1), min(int(y * down), size[0] - 1)) for x, y in given]
        for given in (points, background_points)
    )
    strokes, inside = np.zeros(size, bool), np.ones(size, bool)
    if scribble is not None:
        strokes = cv2.resize(scribble.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA) > 0
    if box is not None:
        left, top, right, bottom = box
        inside[:] = False
        rows = slice(int(top * down), max(int(top * down) + 1, round(bottom * down)))
        inside[rows, int(left * across) : max(int(left * across) + 1, round(right * across))] = True
    return _enlarge(_find(small, on, off, inside, strokes), small, photo)


def _find(photo: Bytes, on: list[Pixel], off: list[Pixel], inside: Bools, strokes: Bools) -> Bools:
    """The object in the reduced copy `[h,w,3]`: `on` and `strokes` are on it, `off` is not, it lies `inside`."""
    never = ~inside | _marks(off, inside.shape)
    sure = (strokes | _marks(on, inside.shape)) & ~never
    lab = cast("Floats", cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2Lab))
    lab = cast("Floats", cv2.bilateralFilter(lab, 5, 12, 3))
    regions = Regions(lab)
    likely, lettering = sure.copy() if sure.any() else inside.copy(), np.zeros_like(sure)
    meant = [regions.object_at(x, y, slack=_SLACK) for x, y in on]
    longest = _MUCH_LONGER * length(strokes) if strokes.any() else 0
    for region in meant + [regions.object_at(x, y, longest=longest) for x, y in _along(strokes)]:
        row = None if region is None else _lettering(lab, region)
        if row is not None:
            lettering |= row
        elif region is not None:
            likely |= _shape(region)
    for x, y in off:  # with all around it that is of one kind
        unwanted = [
            region
            for region in regions.around(x, y)
            if not (region & sure).any() and 2 * (region & likely).sum() <= likely.sum()
        ]
        never |= unwanted[-1] if unwanted else False
    likely &= ~never
    if not sure.any():  # a box only
        found = _grab_cut(photo, likely, sure, never, reach=0)
        return found if found.sum() >= _SMALLEST * inside.sum() else likely
    core = cv2.erode(likely.astype(np.uint8), _disc(1 + int(0.08 * likely.sum() ** 0.5))) > 0
    found = _grab_cut(photo, likely, sure | core, never, reach=4 + int(0.15 * likely.sum() ** 0.5))
    return (_holding(without_gaps(found), sure) | lettering | sure) & ~never


def _marks(points: list[Pixel], size: tuple[int, ...]) -> Bools:
    """Small squares around points."""
    marks = np.zeros(size, bool)
    for x, y in points:
        marks[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = True
    return marks


def _along(strokes: Bools) -> list[Pixel]:
    """A few pixels of strokes, from left to right."""
    columns, rows = np.nonzero(strokes.T)
    places = np.unique(np.linspace(0, max(0, len(rows) - 1), _SAMPLES).astype(int)) if len(rows) else ()
    return [(int(columns[place]), int(rows[place])) for place in places]


def _shape(region: Bools) -> Bools:
    """A region without what hangs on it by a thread; its hull where it nearly fills that."""
    thread = 1 + int(0.06 * region.sum() ** 0.5)
    padded = np.pad(region, thread, mode="edge").astype(np.uint8)
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, _disc(thread))[thread:-thread, thread:-thread]
    count, parts, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count > 1:
        largest = parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        region = largest if 2 * largest.sum() > region.sum() else region
    whole = hull(region)
    return whole if region.sum() >= _WHOLE * whole.sum() else region


def _lettering(lab: Floats, region: Bools) -> Bools | None:
    """The row of letters that a region is one or some of, as a band; None if it is not."""
    top, left, bottom, right = tight(region)
    tall = bottom - top
    if tall > _LETTER * len(region) or right - left > _WIDE * tall:
        return None
    around = grow(region, 4) & ~grow(region, 1)
    ink, ground = (np.median(lab[part], axis=0) for part in (region, around))
    clear = float(np.linalg.norm(ink - ground))
    if clear < _CLEAR:
        return None
    alike = (np.linalg.norm(lab - ink, axis=2) < clear / 2) & ~region
    _, parts, stats, _ = cv2.connectedComponentsWithStats(alike.astype(np.uint8), connectivity=8)
    letters = [
        (number, x, x + wide)
        for number, (x, y, wide, high, _) in enumerate(stats.tolist())
        if number
        and (0.45 * tall <= high <= 2 * tall and wide <= _WIDE * tall)
        and (top - tall / 2 <= y and y + high <= bottom + tall / 2)
        and min(y + high, bottom) - max(y, top) >= 0.6 * min(high, tall)
    ]
    row = region.copy()
    while near := [letter for letter in letters if max(letter[1] - right, left - letter[2]) <= _GAP * tall]:
        for letter in near:
            number, x0, x1 = letter
            row |= parts == number
            left, right = min(left, x0), max(right, x1)
            letters.remove(letter)
    if (row == region).all():
        return None
    closed = cv2.morphologyEx(np.pad(row, tall).astype(np.uint8), cv2.MORPH_CLOSE, _disc(1 + tall // 2))
    return without_gaps(closed[tall:-tall, tall:-tall] > 0)


def _grab_cut(photo: Bytes, likely: Bools, sure: Bools, never: Bools, reach: int) -> Bools:
    """OpenCV's GrabCut, beginning with `likely`: at most `reach` pixels beyond it, and all of `sure`."""
    outer, context = grow(likely, reach) & ~never, grow(likely, 4 * reach + 16)
    trimap = np.full(likely.shape, cv2.GC_BGD, np.uint8)
    trimap[outer], trimap[likely], trimap[sure] = cv2.GC_PR_BGD, cv2.GC_PR_FGD, cv2.GC_FGD
    if not likely.any():
        return likely
    top, left, bottom, right = tight(context)
    part = np.ascontiguousarray(trimap[top:bottom, left:right])
    if not (part & 1).any() or (part & 1).all():  # GrabCut needs both
        return likely
    cv2.setRNGSeed(0)
    shown, models = np.ascontiguousarray(photo[top:bottom, left:right]), np.zeros((2, 1, 65))
    cv2.grabCut(shown, part, (0, 0, 0, 0), models[0], models[1], _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = np.zeros_like(likely)
    found[top:bottom, left:right] = part & 1
    return (cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, _disc(1)) > 0) | (found & sure)


def _holding(found: Bools, marks: Bools) -> Bools:
    """The connected parts of `found` that hold one of `marks`."""
    _, parts = cv2.connectedComponents(found.astype(np.uint8), connectivity=4)
    return found & np.isin(parts, parts[marks])


def _enlarge(found: Bools, small: Bytes, photo: Bytes) -> Bools:
    """Bring a mask to the photo's size, along the photo's own edges, and grow it over the object's rim.

    A guided filter (He et al., 2010) whose coefficients are computed on the reduced copy (He and Sun, 2015).
    """
    height, width = photo.shape[:2]
    if not found.any():
        return np.zeros((height, width), bool)
    across, down = width / found.shape[1], height / found.shape[0]
    guide, mask = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) / np.float32(255), found.astype(np.float32)
    mean_guide, mean_mask, mean_square, mean_product = (
        cv2.blur(planes, (5, 5)) for planes in (guide, mask, guide * guide, guide * mask)
    )
    slope = (mean_product - mean_guide * mean_mask) / (mean_square - mean_guide**2 + 1e-3)
    offset = cv2.blur(mean_mask - slope * mean_guide, (5, 5))
    slope = cv2.blur(slope, (5, 5))

    margin = 4
    top, left, bottom, right = tight(found)
    rows = slice(max(0, int((top - margin) * down)), min(height, int((bottom + margin) * down) + 1))
    columns = slice(max(0, int((left - margin) * across)), min(width, int((right + margin) * across) + 1))
    size = columns.stop - columns.start, rows.stop - rows.start
    start = ((columns.start + 0.5) / across - 0.5, (rows.start + 0.5) / down - 0.5)
    way = np.array([[1 / across, 0, start[0]], [0, 1 / down, start[1]]])  # from pixels' centres to those of the copy

    def enlarge(planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(planes, way, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)

    full_guide = cv2.cvtColor(photo[rows, columns], cv2.COLOR_RGB2GRAY) / np.float32(255)
    inside = (enlarge(slope) * full_guide + enlarge(offset) > 0.5).astype(np.float32)
    smooth = cv2.blur(inside, (2 * round(across) + 1, 2 * round(down) + 1)) > 0.5
    whole = np.zeros((height, width), bool)
    whole[rows, columns] = smooth | (enlarge(mask) > 0.75)  # the filter loses thin parts
    return grow(whole, 1 + round(across))


def _disc(radius: int) -> Bytes:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)).astype(np.uint8)
