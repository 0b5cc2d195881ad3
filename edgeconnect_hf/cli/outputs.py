"""Results: where they are written, in which format, with which options of Pillow."""

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from .jobs import STREAM, Job, check_paths_differ

FORMATS = ("png", "jpg", "webp", "tif")
_ENDINGS = (".png", ".tif", ".tiff", ".webp", ".jpg", ".jpeg")
_JPEG = (".jpg", ".jpeg")


def single_job(inputs: dict[str, Path], outputs: dict[str, Path], format: str | None, suffix: str) -> Job:
    """The job of one photo: a result in a folder takes the photo's name.

    Args:
        inputs, outputs (`dict[str, Path]`): by argument.
        format (`str`, *optional*): `--format`, one of `FORMATS`.
        suffix (`str`): `--suffix`.
    """
    files = {}
    for argument, path in outputs.items():
        if path == STREAM:
            if argument != "--output":
                raise ValueError(f"`{argument}` must be a file: only `--output` may be - (standard output).")
        elif path.is_dir():
            if inputs["image"] == STREAM:
                raise ValueError(f"`{argument}` must be a file, as `image` has no name: got {str(path)!r}.")
            chosen = format if argument == "--output" else None
            path = path / f"{inputs['image'].stem}{suffix}.{chosen or 'png'}"
        elif path.suffix.lower() not in _ENDINGS:
            raise ValueError(f"`{argument}` must end in one of {', '.join(_ENDINGS)}: got {str(path)!r}.")
        elif argument == "--output" and (format or suffix):
            raise ValueError(f"`--format` and `--suffix` need a folder as `--output`: got the file {str(path)!r}.")
        elif not path.parent.is_dir():
            raise ValueError(f"`{argument}` must be in a folder that exists: got {str(path)!r}.")
        files[argument] = path
    check_paths_differ(inputs, {argument: path for argument, path in files.items() if path != STREAM})
    return Job(inputs, files)


def ending_of(path: Path, format: str | None) -> str:
    """The ending, in lower case, of the format a result is written in; PNG where nothing says another."""
    ending = path.suffix.lower()
    return ending if ending in _ENDINGS else f".{format or 'png'}"


def check_quality(quality: int | None, ending: str) -> None:
    """Check `--quality` against the format."""
    if quality is not None and not (1 <= quality <= 100 and ending in (*_JPEG, ".webp")):
        raise ValueError(f"`--quality` must be 1 to 100, for JPEG or WebP: got {quality} for {ending}.")


def warn_if_lossy(quality: int | None, ending: str) -> None:
    """Warn that a format changes the known pixels."""
    if ending in _JPEG or (ending == ".webp" and quality is not None):
        name = "JPEG" if ending in _JPEG else "`--quality`"
        warnings.warn(f"{name} recompresses the known pixels as well; use .png to keep them exactly.", stacklevel=2)


def check_transparency(job: Job, has_alpha: bool, ending: str) -> None:
    """Refuse to lose the transparency of a photo."""
    if has_alpha and ending in _JPEG:
        raise ValueError(
            f"`--output` is {str(job.outputs['--output'])!r}, but JPEG has no transparency and {job.name!r} does: "
            "use .png."
        )


def write_result(image: Any, path: Path, ending: str, quality: int | None = None) -> None:
    """Write a photo or lines to a file or to standard output; nothing half written is left.

    Args:
        image: as `pictures.write_file` takes it.
        path (`Path`): where to; `STREAM` is standard output.
        ending (`str`): of the format.
        quality (`int`, *optional*): of JPEG and WebP; by default JPEG keeps its source's, and WebP is lossless.
    """
    from ..pictures import write_file  # imports torch, which `--help` does not need

    options: dict[str, Any] = {} if quality is None else {"quality": quality}
    if ending == ".webp":
        options |= {"exact": True, "lossless": quality is None}
    if path != STREAM:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(image, path, **options)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"image{ending}")
        write_file(image, file, **options)
        sys.stdout.buffer.write(file.read_bytes())
        sys.stdout.flush()
