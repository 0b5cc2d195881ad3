"""Time of one image, from Canny to the blended result, against the published architecture and OpenCV.

    python benchmarks/inference.py

The networks have the paper's size and random weights, which are as fast as trained ones, except the bundled model. The
floor is the time of both generators' operations at the speed of a single 3x3 convolution, measured in the same run and
dtype.
"""

import argparse
import statistics
from functools import partial

import cv2
import numpy as np
import torch
from measuring import (
    ROOT,
    Call,
    Row,
    convolution_speed,
    count_operations,
    paper_size_pipeline,
    profile_shares,
    publish,
    time_in_turn,
    times_as_fast,
)
from PIL import Image
from published import PublishedPipeline

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.cli.device import fastest_dtype

NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16"}
BASELINE = "published architecture, fp32"


def compiled(pipeline: EdgeConnectPipeline) -> EdgeConnectPipeline:
    pipeline.compile()
    return pipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="side of the image in pixels")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()

    picture = Image.open(ROOT / "examples" / "facade.jpg").convert("RGB").resize((args.size, args.size))
    mask = Image.new("L", picture.size)
    mask.paste(255, tuple(args.size * quarter // 4 for quarter in (1, 1, 3, 3)))  # a quarter of the area
    pixels, hole = np.asarray(picture), np.asarray(mask) > 0

    dtypes = dict.fromkeys([torch.float32, fastest_dtype(torch.device("cpu"))])
    published = PublishedPipeline()
    pipelines: dict[str, EdgeConnectPipeline] = {}
    dtype_of: dict[str, torch.dtype | None] = {}
    for dtype in dtypes:
        for name, make in (
            (f"paper size, {NAMES[dtype]}", partial(paper_size_pipeline, dtype)),
            (f"paper size, {NAMES[dtype]}, compiled", lambda dtype=dtype: compiled(paper_size_pipeline(dtype))),
            (f"bundled model, {NAMES[dtype]}", partial(EdgeConnectPipeline.from_pretrained, dtype=dtype)),
        ):
            pipelines[name], dtype_of[name] = make(), dtype

    calls: dict[str, Call] = {BASELINE: lambda: published(pixels, hole)}
    calls |= {name: partial(pipeline, picture, mask, strategy="original") for name, pipeline in pipelines.items()}
    for name, flag in (("OpenCV, Telea", cv2.INPAINT_TELEA), ("OpenCV, Navier-Stokes", cv2.INPAINT_NS)):
        calls[name] = partial(cv2.inpaint, pixels, np.asarray(mask), 3, flag)
    operations = {
        "paper": count_operations(calls[BASELINE]),
        "bundled": count_operations(calls["bundled model, fp32"]),
    }
    speeds: dict[torch.dtype | None, float] = {dtype: convolution_speed(dtype) for dtype in dtypes}
    seconds = time_in_turn(calls, args.repeats)

    rows: list[Row] = []
    for name, times in seconds.items():
        row = {"": name, "ms": 1000 * statistics.median(times)}
        row["times as fast"] = times_as_fast(seconds[BASELINE], times)
        speed = speeds.get(dtype_of.get(name, torch.float32 if name == BASELINE else None))  # OpenCV has none
        floor = operations["bundled" if "bundled" in name else "paper"] / speed if speed else None
        row["floor, ms"] = 1000 * floor if floor else None
        row["of the time, the floor is"] = f"{100 * floor / statistics.median(times):.0f} %" if floor else None
        rows.append(row)
    profiles = [
        {"share of the time": name} | profile_shares(calls[name], args.repeats)
        for name in calls
        if not name.endswith("compiled") and not name.startswith("OpenCV")
    ]
    publish(
        "inference",
        {
            f"One picture of {args.size}x{args.size}, a hole of a quarter; median of {args.repeats}": rows,
            "Where the time goes": profiles,
            "A 3x3 convolution alone": [{"dtype": NAMES[dtype], "GFLOP/s": speeds[dtype] / 1e9} for dtype in dtypes],
        },
    )


if __name__ == "__main__":
    main()
