"""The images of an evaluation on disk: for resumed runs, the grid, FID, and inspection."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from edgeconnect_hf.pictures import read_file


class ImageFolder:
    """PNG files in folders of folders: `original/SET/NAME.png`, `telea/SET/20-30/NAME.png`, …

    Args:
        root (`str` or `Path`): the outermost folder.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def path(self, *parts: str) -> Path:
        """The path of an image: folders, then its name."""
        return self.root.joinpath(*parts[:-1]) / f"{parts[-1]}.png"

    def save(self, image: npt.NDArray[np.uint8], *parts: str) -> None:
        """Writes `[H,W,3]` or `[H,W]` uint8."""
        self.path(*parts).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(self.path(*parts))

    def load(self, *parts: str) -> npt.NDArray[np.uint8]:
        """Reads an image written by `save`."""
        return np.array(read_file(self.path(*parts), str(self.path(*parts))))

    def batches(self, names: Sequence[str], *parts: str) -> Iterator[torch.Tensor]:
        """Each of the images `names` in the folder `parts` as `[1,3,H,W]` uint8."""
        for name in names:
            yield torch.from_numpy(self.load(*parts, name)).permute(2, 0, 1)[None]
