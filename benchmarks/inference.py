"""Time of one image, from Canny to the blended result, against the published architecture and OpenCV.

    python benchmarks/inference.py

The networks have the paper's size and random weights, which are as fast as trained ones, except the bundled model. The
floor is the time of both generators' operations at the speed of a single 3x3 convolution, measured in the same run and
dtype.
"""

import argparse
import statistics
import tempfile
from functools import partial

import cv2
import numpy as np
import torch
from measuring import (
    ROOT,
    Call,
    Clock,
    Row,
    add_cpu_time,
    choose_clock,
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
BASELINE, BUNDLED = "published architecture, fp32", "bundled model"
bundled = EdgeConnectPipeline.from_pretrained


def compiled(pipeline: EdgeConnectPipeline) -> EdgeConnectPipeline:
    pipeline.compile()
    return pipeline


@torch.no_grad()
def openvino_rows(dtypes: list[torch.dtype], size: int, repeats: int, clock: Clock) -> list[Row]:
    """G2 by PyTorch, and exported to ONNX by OpenVINO, at the one size that it was compiled for."""
    import openvino  # no extra of ours; for this table only

    from edgeconnect_hf.formats.onnx import export_onnx

    inputs = torch.rand(1, 3, size, size), torch.rand(1, 1, size, size)
    calls: dict[str, Call] = {}
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(bundled(edge_generator=None), folder)
        model = core.read_model(f"{folder}/completion_generator/model.onnx")
        model.reshape({port.any_name: [*each.shape] for port, each in zip(model.inputs, inputs, strict=True)})
        for dtype in dtypes:
            generator, shown = bundled(dtype=dtype).completion_generator, [each.to(dtype) for each in inputs]
            calls[f"PyTorch, {NAMES[dtype]}"] = partial(generator, *shown)
            hints = {"INFERENCE_PRECISION_HINT": NAMES[dtype].replace("fp", "f")}
            options = {**hints, "INFERENCE_NUM_THREADS": torch.get_num_threads(), "NUM_STREAMS": 1}
            request = core.compile_model(model, "CPU", options).create_infer_request()
            calls[f"OpenVINO, {NAMES[dtype]}"] = partial(request.infer, [each.numpy() for each in inputs])
    seconds = time_in_turn(calls, repeats, clock)
    rows: list[Row] = []
    for name, times in seconds.items():
        of_torch = times_as_fast(seconds[name.replace("OpenVINO", "PyTorch")], times)
        rows.append({"": name, "ms": 1000 * statistics.median(times), "times as fast as PyTorch": of_torch})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="side of the image in pixels")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--openvino", action="store_true", help="a table of G2 in OpenVINO too (needs onnx, openvino)")
    add_cpu_time(parser)
    args = parser.parse_args()
    clock, remark = choose_clock(args.cpu_time)

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
            (f"{BUNDLED}, {NAMES[dtype]}", partial(bundled, dtype=dtype, match_texture=False)),
            (f"{BUNDLED}, {NAMES[dtype]}, match_texture", partial(bundled, dtype=dtype)),
        ):
            pipelines[name], dtype_of[name] = make(), dtype

    calls: dict[str, Call] = {BASELINE: lambda: published(pixels, hole)}
    calls |= {name: partial(pipeline, picture, mask, strategy="original") for name, pipeline in pipelines.items()}
    for name, flag in (("OpenCV, Telea", cv2.INPAINT_TELEA), ("OpenCV, Navier-Stokes", cv2.INPAINT_NS)):
        calls[name] = partial(cv2.inpaint, pixels, np.asarray(mask), 3, flag)
    operations = {
        "paper": count_operations(calls[BASELINE]),
        "bundled": count_operations(calls[f"{BUNDLED}, fp32"]),
    }
    speeds: dict[torch.dtype | None, float] = {dtype: convolution_speed(dtype, clock) for dtype in dtypes}
    seconds = time_in_turn(calls, args.repeats, clock)

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
    tables = {
        f"One picture of {args.size}x{args.size}, a hole of a quarter; median of {args.repeats}{remark}": rows,
        "Where the time goes": profiles,
        "A 3x3 convolution alone": [{"dtype": NAMES[dtype], "GFLOP/s": speeds[dtype] / 1e9} for dtype in dtypes],
    }
    if args.openvino:
        title = f"G2 of the bundled model, {args.size}x{args.size}; median of {args.repeats}{remark}"
        tables[title] = openvino_rows([*dtypes], args.size, args.repeats, clock)
    publish("inference", tables)


if __name__ == "__main__":
    main()
