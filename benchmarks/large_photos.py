"""What a large photo costs against a small one with the same hole, and what its window loses against the whole picture.

    python benchmarks/large_photos.py [--photos FOLDER]

With `--photos`, the hole is repaired in the middle of each photo of the folder, enlarged to 2048x2048, by every
strategy, and the PSNR in the hole is compared with that of `strategy="original"`.
"""

import argparse
import resource
import statistics
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from measuring import ROOT, Row, publish, time_in_turn, times_as_fast
from PIL import Image

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator, canny
from edgeconnect_hf.cli import fastest_dtype
from edgeconnect_hf.regions import STRATEGIES

SIZES = ((256, 256), (2048, 2048), (4000, 3000))
HOLE = 200
DTYPE = fastest_dtype(torch.device("cpu"))


def centred_hole(size: tuple[int, int]) -> Image.Image:
    """A mask of `size` (width, height) with a square hole in the middle."""
    mask = Image.new("L", size)
    left, top = ((side - HOLE) // 2 for side in size)
    mask.paste(255, (left, top, left + HOLE, top + HOLE))
    return mask


def paper_size_pipeline() -> EdgeConnectPipeline:
    torch.manual_seed(0)
    networks = EdgeGenerator().eval(), CompletionGenerator().eval()
    for network in networks:
        torch.nn.Module.to(network, DTYPE)
    return EdgeConnectPipeline(*networks)


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def measure_sizes(name: str, pipeline: EdgeConnectPipeline, repeats: int) -> list[Row]:
    photo = Image.open(ROOT / "examples" / "facade.jpg").convert("RGB")
    calls = {}
    for size in SIZES:
        calls[f"{size[0]}x{size[1]}"] = partial(pipeline, photo.resize(size), centred_hole(size))
    calls["256x256"]()
    before = resident_megabytes()
    calls["4000x3000"]()
    memory = {"4000x3000": peak_megabytes() - before}
    seconds = time_in_turn(calls, repeats)
    return [
        {
            "": f"{name}, {size}",
            "ms": 1000 * statistics.median(times),
            "times as long": 1 / times_as_fast(seconds["256x256"], times),
            "MB over the loaded pipeline": memory.get(size),
        }
        for size, times in seconds.items()
    ]


def measure_loss(pipeline: EdgeConnectPipeline, photos: list[Path]) -> list[Row]:
    psnr: dict[str, list[float]] = {strategy: [] for strategy in STRATEGIES}
    mask = centred_hole((2048, 2048))
    hole = np.asarray(mask) > 0
    for path in photos:
        photo = Image.open(path).convert("RGB").resize(mask.size, Image.Resampling.BICUBIC)
        for strategy, values in psnr.items():
            (repaired,) = pipeline(photo, mask, strategy=strategy).images
            values.append(cv2.PSNR(np.asarray(repaired)[hole], np.asarray(photo)[hole]))
    means = {strategy: statistics.mean(values) for strategy, values in psnr.items()}
    return [
        {"strategy": strategy, "PSNR in the hole, dB": f"{mean:.2f}", "against": f"{mean - means['original']:+.2f}"}
        for strategy, mean in means.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of photos for the table of strategies")
    parser.add_argument("--number", type=int, default=10, help="photos taken of it")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()

    bundled = EdgeConnectPipeline.from_pretrained(dtype=DTYPE)
    rows = measure_sizes("paper size", paper_size_pipeline(), args.repeats)
    rows += measure_sizes("bundled model", bundled, args.repeats)
    gray = np.asarray(Image.open(ROOT / "examples" / "facade.jpg").convert("L").crop((200, 100, 456, 356)), np.float32)
    canny_seconds = time_in_turn({"": lambda: canny(gray / 255, np.zeros(gray.shape, bool))}, 200)[""]
    tables = {
        f"A hole of {HOLE}x{HOLE}, {DTYPE}; median of {args.repeats}": rows,
        "Canny": [{"": "256x256, median of 200", "ms": 1000 * statistics.median(canny_seconds)}],
    }
    if args.photos:
        photos = sorted(args.photos.iterdir())[: args.number]
        tables[f"The same hole in {len(photos)} photos enlarged to 2048x2048, bundled model, {DTYPE}"] = measure_loss(
            bundled, photos
        )
    publish("large_photos", tables)


if __name__ == "__main__":
    main()
