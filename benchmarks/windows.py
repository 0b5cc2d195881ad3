"""Loss from working in a window instead of on the whole image: PSNR in the hole, by strategy.

    python benchmarks/windows.py FOLDER

A hole of 200x200 is repaired in the middle of each photo, enlarged to 2048x2048, by the bundled model.
"""

import argparse
import statistics
from pathlib import Path

import cv2
import numpy as np
import torch
from measuring import publish
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.cli.device import fastest_dtype
from edgeconnect_hf.windows import STRATEGIES

SIDE, HOLE = 2048, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="FOLDER", help="folder of photos")
    parser.add_argument("--number", type=int, default=10, help="number of photos used")
    args = parser.parse_args()

    dtype = fastest_dtype(torch.device("cpu"))
    pipeline = EdgeConnectPipeline.from_pretrained(dtype=dtype)
    mask = Image.new("L", (SIDE, SIDE))
    corner = (SIDE - HOLE) // 2
    mask.paste(255, (corner, corner, corner + HOLE, corner + HOLE))
    hole = np.asarray(mask) > 0

    psnr: dict[str, list[float]] = {strategy: [] for strategy in STRATEGIES}
    photos = sorted(args.photos.iterdir())[: args.number]
    for path in photos:
        photo = Image.open(path).convert("RGB").resize(mask.size, Image.Resampling.BICUBIC)
        for strategy, values in psnr.items():
            (repaired,) = pipeline(photo, mask, strategy=strategy).images
            values.append(cv2.PSNR(np.asarray(repaired)[hole], np.asarray(photo)[hole]))
    means = {strategy: statistics.mean(values) for strategy, values in psnr.items()}
    rows = [
        {"strategy": strategy, "PSNR, dB": f"{mean:.2f}", 'against "original"': f"{mean - means['original']:+.2f}"}
        for strategy, mean in means.items()
    ]
    publish("windows", {f"A hole of {HOLE}x{HOLE} in {len(photos)} photos of {SIDE}x{SIDE}, {dtype}": rows})


if __name__ == "__main__":
    main()
