"""Folders: pair photos with masks, skip finished ones, collect errors, share the work among processes."""

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from tqdm import tqdm

from .errors import EXPECTED_ERRORS, one_line
from .jobs import Job, check_paths_differ

if TYPE_CHECKING:
    from ..pipeline import EdgeConnectPipeline


def run_folder(
    jobs: list[Job],
    load: Callable[[], "EdgeConnectPipeline"],
    run_job: Callable[[Job, "EdgeConnectPipeline"], None],
) -> int:
    """Run this process's share of `jobs`. A photo that fails is reported, and the next one follows.

    Returns:
        The exit code: 1 if a photo failed, else 0.
    """
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    jobs = jobs[rank::world_size]
    waiting = [job for job in jobs if not job.is_done()]
    if skipped := len(jobs) - len(waiting):
        print(f"skipping {skipped} of {len(jobs)} photos: their results already exist")
    failures = []
    if waiting:
        pipeline = load()
        for job in tqdm(waiting, unit="photo", disable=rank != 0):
            try:
                run_job(job, pipeline)
            except (*EXPECTED_ERRORS, RuntimeError, MemoryError) as error:  # the last two: out of memory
                failures.append(f"{job.inputs['image']}: {one_line(error)}")
                tqdm.write(f"edgeconnect: {failures[-1]}", file=sys.stderr)
    if failures:
        print(f"edgeconnect: {len(failures)} of {len(waiting)} photos failed:", *failures, sep="\n  ", file=sys.stderr)
    if world_size > 1 and "MASTER_ADDR" in os.environ:
        _wait_for_all_processes()
    return 1 if failures else 0


def pair_folder(inputs: dict[str, Path], outputs: dict[str, Path]) -> list[Job]:
    """Form one job per photo of the folder `image`, and create the output folders.

    Args:
        inputs (`dict[str, Path]`): by argument. `image` is a folder; any other is a folder whose files are paired with
            the photos by name without extension, or one file for all photos.
        outputs (`dict[str, Path]`): folders by argument. Results are PNG files named after the photos.
    """
    for argument, path in outputs.items():
        if path.exists() and not path.is_dir():
            raise ValueError(f"`{argument}` must be a folder, as `image` is one: got the file {str(path)!r}.")
    check_paths_differ(inputs, outputs)
    photos = _files_by_stem("image", inputs["image"])
    if not photos:
        raise ValueError(f"`image` must be a folder with images: got {str(inputs['image'])!r}, which has none.")
    paired = {argument: _paired(argument, path, photos) for argument, path in inputs.items() if argument != "image"}
    paired = {"image": photos, **paired}
    for path in outputs.values():
        path.mkdir(parents=True, exist_ok=True)
    return [
        Job(
            inputs={argument: files[stem] for argument, files in paired.items()},
            outputs={argument: path / f"{stem}.png" for argument, path in outputs.items()},
        )
        for stem in photos
    ]


def _paired(argument: str, path: Path, photos: dict[str, Path]) -> dict[str, Path]:
    """The file of `argument` for each photo, by stem."""
    if not path.is_dir():
        return dict.fromkeys(photos, path)
    # A missing file is an error of its photo only, raised on reading it.
    return {stem: path / f"{stem}.png" for stem in photos} | _files_by_stem(argument, path)


def _files_by_stem(argument: str, folder: Path) -> dict[str, Path]:
    extensions = Image.registered_extensions()
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in extensions and not path.name.startswith("."):
            if path.stem in files:
                raise ValueError(
                    f"`{argument}` must be a folder with one image per name, as files are paired by name without "
                    f"extension: {str(folder)!r} contains both {files[path.stem].name!r} and {path.name!r}."
                )
            files[path.stem] = path
    return files


def _wait_for_all_processes() -> None:
    """Wait until every process is done: `torchrun` kills the others when one exits with an error."""
    from torch import distributed

    distributed.init_process_group("gloo", timeout=timedelta(days=365))  # longer than any folder takes
    distributed.barrier()
    distributed.destroy_process_group()
