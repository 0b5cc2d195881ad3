"""Long thin holes in a photo of 4000x3000: windows, time, memory and PSNR in the hole, by the bundled model.

    python benchmarks/scratches.py PHOTO

A scratch of 6 pixels' width from corner to corner, a curved one, and a grid of bars 200 pixels apart.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from large_photos import forget_peak, resident_megabytes
from measuring import Row, publish
from PIL import Image, ImageOps

from edgeconnect_hf import EdgeConnectPipeline

SIZE, WIDTH, SPACING = (4000, 3000), 6, 200


def straight(mask: np.ndarray) -> None:
    cv2.line(mask, (0, 0), (SIZE[0] - 1, SIZE[1] - 1), 255, WIDTH)


def curved(mask: np.ndarray) -> None:
    across = np.linspace(0, 1, 400)
    down = 0.5 + 0.4 * np.sin(2 * np.pi * across)
    points = np.stack([across, down], axis=1) * (np.array(SIZE) - 1)
    cv2.polylines(mask, [points.round().astype(np.int32)], False, 255, WIDTH)


def grid(mask: np.ndarray) -> None:
    for axis in (0, 1):
        mask.swapaxes(0, axis)[np.arange(mask.shape[axis]) % SPACING < WIDTH] = 255


HOLES: dict[str, Callable[[np.ndarray], None]] = {
    "straight scratch": straight,
    "curved scratch": curved,
    f"grid, bars {SPACING} apart": grid,
}


def measure(path: Path, name: str, strategy: str) -> Row:
    """Run it in a new process, which has no free memory yet."""
    pipeline = EdgeConnectPipeline.from_pretrained()
    photo = ImageOps.fit(Image.open(path).convert("RGB"), SIZE, Image.Resampling.BICUBIC)
    mask = np.zeros(SIZE[::-1], np.uint8)
    HOLES[name](mask)
    before = resident_megabytes()
    forget_peak()
    start = time.process_time()
    session = pipeline.open(photo, mask, strategy=strategy)
    (repaired,) = session.complete()
    seconds = time.process_time() - start
    hole = mask > 0
    return {
        "": name,
        "strategy": strategy,
        "windows": len(session.windows[0]),
        "s of CPU": seconds,
        "MB over the loaded pipeline": resident_megabytes(peak=True) - before,
        "PSNR in the hole, dB": f"{cv2.PSNR(np.asarray(repaired)[hole], np.asarray(photo)[hole]):.2f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="it is enlarged to 4000x3000")
    parser.add_argument("--strategies", nargs="+", default=["auto"])
    parser.add_argument("--holes", nargs="+", choices=list(HOLES), default=list(HOLES))
    args = parser.parse_args()

    rows = []
    for name in args.holes:
        for strategy in args.strategies:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as new_process:
                rows.append(new_process.submit(measure, args.photo, name, strategy).result())
    publish("scratches", {f"Holes {WIDTH} pixels wide in a photo of {SIZE[0]}x{SIZE[1]}, fp32": rows})


if __name__ == "__main__":
    main()
