"""`Job`: the files to read and write for one photo, and which of them must differ."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

STREAM = Path("-")  # standard input or output


@dataclass(frozen=True)
class Job:
    """One photo to work on.

    Args:
        inputs (`dict[str, Path]`): files to read, by argument as the user typed it: `image`, `mask_image`, `--edges`.
        outputs (`dict[str, Path]`): files to write, by argument: `--output`, `--save-edges`.
        problem (`str`, *optional*): why it cannot be worked on, known before its files are read.
    """

    inputs: dict[str, Path]
    outputs: dict[str, Path]
    problem: str | None = None

    @property
    def name(self) -> str:
        """The photo, as messages call it."""
        return str(self.inputs["image"])


def check_paths_differ(inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Check that no output has the path of an input or of another output.

    An output folder that is also an input folder is refused as well: its files would count as finished results.
    """
    seen = {path.resolve(): (argument, path) for argument, path in inputs.items() if path != STREAM}
    for argument, path in outputs.items():
        if path.resolve() in seen:
            other, other_path = seen[path.resolve()]
            raise ValueError(
                f"`{argument}` and `{other}` must be different paths: got {str(path)!r} and {str(other_path)!r}."
            )
        seen[path.resolve()] = argument, path


def check_inputs_differ(inputs: dict[str, Path]) -> None:
    """Check that photo and mask are no other input's file or folder, under whatever name.

    Line maps may share one: known lines outside the hole and hints inside it.
    """
    for (argument, path), (other, other_path) in combinations(inputs.items(), 2):
        if argument in ("image", "mask_image") and _is_same(path, other_path):
            raise ValueError(
                f"`{other}` and `{argument}` must be different files or folders: got {str(other_path)!r} and "
                f"{str(path)!r}, which are the same."
            )


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them cannot be read, which is said when it is
        return False


def listed(names: Iterable[object], most: int = 5) -> str:
    """The first names, and how many more there are."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
