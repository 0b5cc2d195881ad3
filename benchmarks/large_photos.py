"""What a large photo costs: time and memory against a small one with the same hole, and what its window loses.

    python benchmarks/large_photos.py [--photos FOLDER] [--model MODEL]

A 300x200 hole is repaired in a 512x512 and in a 4000x3000 photo (calls on loaded pictures, median of several, taken in
turn). With `--photos`, the same hole is repaired in the middle of each photo of the folder by every strategy, and the
PSNR in the hole is compared with that of `strategy="original"`.
"""

import argparse
import platform
import resource
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline, canny
from edgeconnect_hf.regions import STRATEGIES

ROOT = Path(__file__).parent.parent
HOLE_WIDTH, HOLE_HEIGHT = 300, 200


def centred_hole(size: tuple[int, int]) -> Image.Image:
    """A mask of `size` (width, height) with the hole in the middle."""
    width, height = size
    mask = Image.new("L", size)
    left, top = (width - HOLE_WIDTH) // 2, (height - HOLE_HEIGHT) // 2
    mask.paste(255, (left, top, left + HOLE_WIDTH, top + HOLE_HEIGHT))
    return mask


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def print_table(header: list[str], rows: list[list[str]]) -> None:
    for row in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(row) + " |")
    print()


def measure_sizes(pipeline: EdgeConnectPipeline, repeats: int) -> None:
    photo = Image.open(ROOT / "examples" / "facade.jpg").convert("RGB")
    pictures = {
        "512x512": photo.crop((200, 0, 712, 512)),
        "4000x3000": photo.resize((4000, 3000), Image.Resampling.BICUBIC),
    }
    pairs = {name: (picture, centred_hole(picture.size)) for name, picture in pictures.items()}
    pipeline(*pairs["512x512"])  # warm-up
    before = resident_megabytes()
    pipeline(*pairs["4000x3000"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    times: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(repeats):
        for name, pair in pairs.items():
            times[name].append(seconds(lambda pair=pair: pipeline(*pair)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print_table(
        ["photo", "median of " + str(repeats), "ratio"],
        [[name, f"{median:.2f} s", f"{median / medians['512x512']:.2f}"] for name, median in medians.items()],
    )
    print(f"Memory over the loaded pipeline and pictures at 4000x3000: {peak - before:.0f} MB at the peak.\n")

    gray = np.asarray(photo.crop((200, 100, 456, 356)).convert("L"), np.float32) / 255
    canny_times = [seconds(lambda: canny(gray, np.zeros(gray.shape, bool))) for _ in range(200)]
    print(f"Canny at 256x256: {statistics.median(canny_times) * 1000:.2f} ms (median of 200).\n")


def psnr_in_hole(repaired: Image.Image, photo: Image.Image, mask: Image.Image) -> float:
    hole = np.asarray(mask) > 0
    return cv2.PSNR(np.asarray(repaired)[hole], np.asarray(photo)[hole])


def measure_loss(pipeline: EdgeConnectPipeline, photos: list[Path]) -> None:
    psnr: dict[str, list[float]] = {strategy: [] for strategy in STRATEGIES}
    for path in photos:
        photo = Image.open(path).convert("RGB")
        mask = centred_hole(photo.size)
        for strategy, values in psnr.items():
            values.append(psnr_in_hole(pipeline(photo, mask, strategy=strategy).images[0], photo, mask))
    means = {strategy: statistics.mean(values) for strategy, values in psnr.items()}
    print_table(
        ["strategy", f"PSNR in the hole, mean of {len(photos)}", 'against "original"'],
        [[name, f"{mean:.2f} dB", f"{mean - means['original']:+.2f} dB"] for name, mean in means.items()],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of photos for the table of strategies")
    parser.add_argument("--model", help="model folder or Hub id; the bundled one by default")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()

    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, fp32\n")
    pipeline = EdgeConnectPipeline.from_pretrained(args.model)
    measure_sizes(pipeline, args.repeats)
    if args.photos:
        measure_loss(pipeline, sorted(args.photos.iterdir()))


if __name__ == "__main__":
    main()
