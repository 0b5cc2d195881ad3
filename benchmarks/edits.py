"""Time of edit after edit in one session, and the share of each step.

    python benchmarks/edits.py [PHOTO ...]

For the example cafe.jpg with its mask, and for each PHOTO with a square hole in its middle. The first call opens the
photo, draws the lines and paints; the next one follows an upright line through the first window's hole, the last
one lays other colours there. Times are the process's own on the CPU, so that other load of the machine hardly counts.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from measuring import ROOT, Row, publish, times_as_fast
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline, session, views
from edgeconnect_hf.cli.device import fastest_dtype

CALLS = ("first call", "after a changed line", "other colours only")
STEPS = ("reading, windows", "Canny", "G1", "G2", "match_colours", "match_texture", "pasting", "the rest")

Seconds = dict[str, float]


@contextmanager
def stopwatch(pipe: EdgeConnectPipeline) -> Iterator[Seconds]:
    """CPU seconds by step of what runs inside, by functions in place of those of the package; "total" at the end."""
    seconds = dict.fromkeys((*STEPS, "total"), 0.0)

    def timed(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **options)
            finally:
                seconds[step] += time.process_time() - start

        return call

    functions: tuple[tuple[str, object, str], ...] = (
        ("reading, windows", EdgeConnectPipeline, "open"),
        ("reading, windows", session.EditSession, "_look"),
        ("Canny", views, "canny"),
        ("G1", pipe.edge_generator, "forward"),
        ("G2", pipe.completion_generator, "forward"),
        ("match_colours", session, "match_colours"),
        ("match_texture", session, "match_texture"),
        ("pasting", session.EditSession, "_paste_lines"),
        ("pasting", session.EditSession, "_paste_hole"),
    )
    with ExitStack() as replaced:
        for step, owner, name in functions:
            replaced.enter_context(mock.patch.object(owner, name, timed(step, getattr(owner, name))))
        start = time.process_time()
        yield seconds
        seconds["total"] = time.process_time() - start
    seconds["the rest"] = seconds["total"] - sum(seconds[step] for step in STEPS)


def edit(
    pipe: EdgeConnectPipeline, photo: Image.Image, mask: Image.Image, match_texture: bool | None = None
) -> list[Seconds]:
    """CPU seconds by step of each of the `CALLS`; `match_texture` as in `EditSession.complete`."""
    with stopwatch(pipe) as first:
        edits = pipe.open(photo, mask)
        edits.complete(match_texture=match_texture)
    top, left, bottom, right = edits.windows[0][0].hole
    lines = np.array(edits.edges[0])
    lines[top:bottom, (left + right) // 2] ^= 255
    with stopwatch(pipe) as line:
        edits.complete(lines, match_texture=match_texture)
    colours = np.zeros((*lines.shape, 4), np.uint8)
    colours[top:bottom, left:right] = 200, 80, 60, 255
    with stopwatch(pipe) as colour:
        edits.complete(lines, colours, match_texture)
    return [first, line, colour]


def tables(
    pipe: EdgeConnectPipeline, photo: Image.Image, mask: Image.Image, repeats: int, match_texture: bool | None = None
) -> tuple[list[Row], ...]:
    """Times and shares, of as many sessions after one that is not counted."""
    turns = [edit(pipe, photo, mask, match_texture) for _ in range(repeats + 1)][1:]
    times: list[Row] = []
    shares: list[Row] = []
    firsts = [turn[0]["total"] for turn in turns]
    for name, calls in zip(CALLS, zip(*turns, strict=True), strict=True):
        totals = [call["total"] for call in calls]
        of_first = f"{100 / times_as_fast(firsts, totals):.0f} %"
        times.append({"": name, "CPU seconds": statistics.median(totals), "of the first call": of_first})
        of_call = {step: statistics.median(call[step] / call["total"] for call in calls) for step in STEPS}
        shares.append({"share of": name} | {step: f"{100 * share:.0f} %" for step, share in of_call.items()})
    return times, shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTO")
    parser.add_argument("--hole", type=int, default=200, help="side of the hole in each PHOTO (default: 200)")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    examples = ROOT / "edgeconnect_hf" / "examples"
    pictures: dict[str, tuple[Image.Image, Image.Image]] = {
        "cafe.jpg, its own holes": (Image.open(examples / "cafe.jpg"), Image.open(examples / "cafe_mask.png")),
    }
    for path in args.photos:
        photo = Image.open(path).convert("RGB")
        mask = Image.new("L", photo.size)
        left, top = ((side - args.hole) // 2 for side in photo.size)
        mask.paste(255, (left, top, left + args.hole, top + args.hole))
        pictures[f"{path.name}, {photo.width}x{photo.height}, a hole of {args.hole}x{args.hole}"] = photo, mask
    pipe = EdgeConnectPipeline.from_pretrained(dtype=fastest_dtype(torch.device("cpu")))
    published = {}
    for name, (photo, mask) in pictures.items():
        published[f"{name}; median of {args.repeats}"], published[f"{name}: shares"] = tables(
            pipe, photo, mask, args.repeats
        )
        published[f"{name}, without texture"], _ = tables(pipe, photo, mask, args.repeats, match_texture=False)
    publish("edits", published)


if __name__ == "__main__":
    main()
