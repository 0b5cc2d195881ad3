"""`make fuzz`: random photos, masks and options for ten minutes, or until one is mishandled.

A case passes if it ends in an error that names the argument, or in a photo whose pixels outside the hole are those of
the input, read by Pillow alone.

    python tests/fuzz/run.py --minutes 10 --workers 2
"""

import argparse
import contextlib
import io
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from cases import Case, array, cases, file_bytes, file_of, hole, mask_image, pil_image
from hypothesis import HealthCheck, Phase, given, seed, settings
from PIL import Image, ImageOps

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator
from edgeconnect_hf.cli import main as command_line

CASES_A_CHUNK = 100
NAMED = re.compile(r"`[\w.-]+`")  # the argument that an error is about
ERRORS = (ValueError, TypeError, OSError)
FAIR = ("nothing known is left", "must leave a visible part", "of dtype int64", "PIL picture of mode")  # of any case


@cache
def pipeline() -> EdgeConnectPipeline:
    """Seeded networks, as narrow as they come: what is tried is all around them."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    networks = [
        network(base_channels=1, num_residual_blocks=1, sample_size=64).eval()
        for network in (EdgeGenerator, CompletionGenerator)
    ]
    for network in networks:
        for parameter in network.parameters():  # 0.02 would leave every output at one half
            torch.nn.init.normal_(parameter, std=0.3)
    return EdgeConnectPipeline(*networks)


@cache
def model_folder() -> str:
    """The same, saved for the command line."""
    folder = tempfile.mkdtemp(prefix="fuzz-")
    pipeline().save_pretrained(folder)
    return folder


def check(case: Case) -> str:
    """Run one case.

    Returns:
        What became of it: `repaired`, or the argument that was refused.

    Raises:
        AssertionError: a pixel outside the hole changed, or the error names no argument.
        Exception: any other error than a named one.
    """
    with tempfile.TemporaryDirectory() as name:
        photo, reference = photo_of(case, Path(name))
        height, width = reference[0].shape[:2]
        mask = hole(case, height, width)
        arguments = {"mask_image": mask_image(case, mask), **line_arguments(case, height, width)}
        try:
            if case.form == "command line":
                images = [run_command_line(case, photo, arguments, Path(name))]
            else:
                images = call(case, photo, arguments)
        except ERRORS as error:
            if case.fault is None and not any(reason in str(error) for reason in FAIR):
                raise AssertionError(f"refused without a fault: {error}") from error
            if found := NAMED.search(str(error)):
                return found.group()
            raise AssertionError(f"names no argument: {type(error).__name__}: {error}") from error
    grown = mask
    if case.mask_padding > 0:
        grown = cv2.dilate(mask.astype(np.uint8), np.ones((2 * case.mask_padding + 1,) * 2)) > 0
    if case.fault == "photo" or (case.fault == "turned" and height == width):  # a hole elsewhere, and no fault
        grown = np.ones_like(mask)
    assert len(images) == len(reference)
    for image, expected in zip(images, reference, strict=True):
        check_known(image, expected, ~grown)
    return "repaired"


def check_known(image: Any, expected: np.ndarray, known: np.ndarray) -> None:
    """Size, range, transparency, and every known pixel."""
    shown = np.asarray(image)
    shown = shown[..., None] if shown.ndim == 2 else shown
    assert shown.shape[:2] == expected.shape[:2], f"{shown.shape} of {expected.shape}"
    if shown.dtype.kind == "f":
        assert shown.dtype == np.float32
        assert shown.min() >= 0
        assert shown.max() <= 1  # a NaN fails both
        scale = {"u1": 255, "u2": 65535}.get(expected.dtype.str[1:], 1)
        expected = expected.astype(np.float32) / np.float32(scale)
    elif expected.dtype.kind == "f":
        expected = np.rint(expected.astype(np.float32) * np.float32(255)).astype(np.uint8)
    elif expected.dtype == np.uint16 and shown.shape[2] > 1:  # PIL has no mode for 16-bit colours; ours are 8-bit ones
        expected = (expected // 257).astype(np.uint8)
    assert shown.dtype == expected.dtype, f"{shown.dtype} of {expected.dtype}"
    if shown.shape[2] != expected.shape[2]:  # gray came back as RGB
        assert expected.shape[2] < 3 <= shown.shape[2] or (shown.shape[2], expected.shape[2]) == (3, 1)
        expected = np.concatenate([np.repeat(expected[..., :1], 3, axis=2), expected[..., 1:]], axis=2)
    different = (shown != expected)[known]
    assert not different.any(), f"{different.any(axis=-1).sum()} known pixels changed"


def photo_of(case: Case, folder: Path) -> tuple[Any, list[np.ndarray]]:
    """The photo as it is given, and what it holds, `[H,W,C]` each, without this package's help."""
    if case.form in ("numpy", "torch"):
        given_array = array(case)
        single = given_array.ndim < 4
        given_photo: Any = given_array
        if case.form == "torch":
            moved = given_array if given_array.ndim == 2 else np.moveaxis(given_array, -1, -3)
            given_photo = torch.from_numpy(np.ascontiguousarray(moved))
        if given_array.dtype == bool:
            given_array = given_array.astype(np.uint8) * np.uint8(255)
        shown = [given_array] if single else list(given_array)
        return given_photo, [each[..., None] if each.ndim == 2 else each for each in shown]
    if case.form == "pil":
        image = pil_image(case, case.mode)
        return image, [content(image)]
    data = file_bytes(case)
    with Image.open(io.BytesIO(data)) as image:
        try:
            shown = content(ImageOps.exif_transpose(image))
        except Exception:  # EXIF that Pillow cannot read turns nothing
            image.seek(0)
            shown = content(image)
    if case.form == "bytes":
        return data, [shown]
    path = folder / f"photo.{case.file[0].lower()}"
    path.write_bytes(data)
    return path, [shown]


def content(image: Image.Image) -> np.ndarray:
    """`[H,W,C]`: gray, RGB, with alpha where there is transparency; 16 bits where they are stored."""
    image.load()
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):  # of a file; the last two are refused otherwise
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.mode not in ("L", "LA", "RGB", "RGBA") or image.has_transparency_data:
        gray = image.mode in ("1", "L", "LA", "La")
        alpha = image.has_transparency_data or image.mode in ("PA", "La", "RGBa")
        image = image.convert("RGBA" if alpha else "RGB")
        if gray and alpha:
            image = Image.merge("LA", [image.getchannel("R"), image.getchannel("A")])
    shown = np.asarray(image)
    return shown[..., None] if shown.ndim == 2 else shown


def line_arguments(case: Case, height: int, width: int) -> dict[str, Any]:
    """The lines that the case gives, by argument."""
    if case.edges is None:
        return {}
    lines = (case.random.random((height, width)) < 0.02).astype(np.uint8) * np.uint8(255)
    if case.edges == "photo":
        lines = case.random.integers(0, 256, (height, width), dtype=np.uint8)
    name = {"hints": "edge_hints", "known": "known_edges"}.get(case.edges, "edges")
    return {name: Image.fromarray(lines)}


def call(case: Case, photo: Any, arguments: dict[str, Any]) -> list[Any]:
    """The Python API, by one call, by halves or by a session."""
    pipe = pipeline()
    shared = {"strategy": case.strategy, "output_type": case.output_type, "mask_padding": case.mask_padding}
    lines = {name: value for name, value in arguments.items() if name != "mask_image"}
    whole, mask = lines.pop("edges", None), arguments["mask_image"]
    if case.call == "call":
        images = pipe(photo, mask, edges=whole, sigma=case.sigma, **lines, **shared).images
    elif case.call == "halves":
        edges = pipe.generate_edges(photo, mask, sigma=case.sigma, **lines, **shared) if whole is None else whole
        images = pipe.complete(photo, mask, edges, **shared)
    else:
        session = pipe.open(photo, mask, sigma=case.sigma, **shared)
        session.generate_edges(**lines)
        session.complete(whole)
        images = session.complete()
    return list(images.permute(0, 2, 3, 1) if isinstance(images, torch.Tensor) else images)


def run_command_line(case: Case, photo: Path, arguments: dict[str, Any], folder: Path) -> Image.Image:
    """`edgeconnect inpaint` in this process; its one line becomes the error."""
    flags = ["--sigma", str(case.sigma), "--grow", str(case.mask_padding), "--strategy", case.strategy]
    paths = {}
    for name, value in arguments.items():
        paths[name] = folder / f"{name}.png"
        paths[name].write_bytes(value if isinstance(value, bytes) else file_of(to_image(value)))
        if name != "mask_image":
            flags += ["--" + name.replace("_", "-"), str(paths[name])]
    output, said = folder / "output.png", io.StringIO()
    command = ["inpaint", str(photo), str(paths["mask_image"]), "-o", str(output), "--model", model_folder(), *flags]
    with contextlib.redirect_stderr(said):
        try:
            code = command_line([*command, "--device", "cpu", "--dtype", "fp32"])
        except SystemExit as end:  # argparse, which names the argument without backticks
            raise ValueError(f"`argparse` {said.getvalue()}") from end
    if code:
        raise ValueError(said.getvalue())
    with Image.open(output) as image:
        return image.copy() if not image.mode.startswith("I") else image.convert("I;16")


def to_image(value: Any) -> Image.Image:
    """A mask of any form, as a file can hold it."""
    if value is None:
        return Image.new("L", (1, 1))
    if isinstance(value, Image.Image):
        return value
    shown = np.asarray(value)
    shown = shown if shown.dtype == np.uint8 else (shown > 0).astype(np.uint8) * np.uint8(255)
    return Image.fromarray(shown if shown.ndim == 2 or shown.shape[-1] == 3 else np.moveaxis(shown, 0, -1))


def run_chunk(number: int, until: float) -> tuple[Counter[str], str]:
    """A hundred cases from one seed; what became of them, and the report of a failure."""
    outcomes: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=CASES_A_CHUNK,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    @given(case=cases())
    def run(case: Case) -> None:
        if time.time() < until:
            outcomes[check(case)] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run()
        except Exception as error:
            return outcomes, "".join(traceback.format_exception(error))
    return outcomes, ""


def chunks(minutes: float, workers: int, first_seed: int) -> Iterator[tuple[Counter[str], str]]:
    """Chunks of cases, until the time is over."""
    until = time.time() + 60 * minutes
    with ProcessPoolExecutor(workers) as pool:
        number = first_seed
        running = set()
        while time.time() < until:
            running |= {pool.submit(run_chunk, number + i, until) for i in range(workers - len(running))}
            number += workers
            done = {future for future in running if future.done()}
            running -= done
            yield from (future.result() for future in done)
            time.sleep(0.1)
        yield from (future.result() for future in running)


def main() -> int:
    """Run, print the count and the failures."""
    parser = argparse.ArgumentParser(description="Random photos, masks and options until the time is over.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the first chunk; each next one has the next")
    args = parser.parse_args()
    outcomes: Counter[str] = Counter()
    failures = []
    for counted, failure in chunks(args.minutes, args.workers, args.seed):
        outcomes += counted
        if failure:
            failures.append(failure)
            print(failure, file=sys.stderr, flush=True)
    for outcome, count in outcomes.most_common():
        print(f"{count:7} {outcome if outcome == 'repaired' else f'refused by {outcome}'}")
    print(f"{outcomes.total()} cases, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
