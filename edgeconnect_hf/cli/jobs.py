"""`Job`: the files to read and write for one photo."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One photo to work on.

    Args:
        inputs (`dict[str, Path]`): files to read, by argument as the user typed it: `image`, `mask_image`, `--edges`.
        outputs (`dict[str, Path]`): files to write, by argument: `--output`, `--save-edges`.
    """

    inputs: dict[str, Path]
    outputs: dict[str, Path]

    def is_done(self) -> bool:
        """Whether all outputs exist."""
        return all(path.exists() for path in self.outputs.values())


def check_paths_differ(inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Check that no output has the path of an input or of another output.

    An output folder that is also an input folder is refused as well: its files would count as finished results.
    """
    seen = {path.resolve(): (argument, path) for argument, path in inputs.items()}
    for argument, path in outputs.items():
        if path.resolve() in seen:
            other, other_path = seen[path.resolve()]
            raise ValueError(
                f"`{argument}` and `{other}` must be different paths: got {str(path)!r} and {str(other_path)!r}."
            )
        seen[path.resolve()] = argument, path
