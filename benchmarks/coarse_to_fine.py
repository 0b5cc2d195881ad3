"""Lines from coarse to fine against lines in one pass: F1 within two pixels, in the hole.

    python benchmarks/coarse_to_fine.py FOLDER ...

From coarse to fine, the edge generator draws at half the size first. What it draws there, above a threshold, enlarged
and thinned, are its hints at full size. F1 against the lines of another photo says how much is met by chance.
"""

import argparse

import cv2
import numpy as np
import torch
from measuring import Row, publish
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline
from training.evaluation.holes import Example, Samples, chance, with_hole
from training.evaluation.metrics import edge_f1, thin

WAYS = {"one pass": None, "hints above 0.5": 0.5, "hints above 0.8": 0.8}
IRREGULAR = 40, 60  # percent of 256x256
SQUARE = 222  # pixels of 448x448


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", metavar="FOLDER", help="folders of photos, or with a folder `validation`")
    parser.add_argument("--number", type=int, default=8, help="number of photos of each folder")
    args = parser.parse_args()

    torch.set_num_threads(1)
    pipe = EdgeConnectPipeline.from_pretrained()
    pipe.set_progress_bar_config(disable=True)
    tables = {}
    for resolution, title in (
        (256, f"Irregular holes of {IRREGULAR[0]} to {IRREGULAR[1]} % of 256x256"),
        (448, f"Square holes, {SQUARE} pixels wide, in 448x448"),
    ):
        examples = [
            example
            for folder in args.photos
            for example in examples_of(Samples(folder, resolution, 2.0, args.number), resolution)
        ]
        tables[f"{title}, {len(examples)} photos"] = [score(pipe, examples, way) for way in WAYS]
    publish("coarse_to_fine", tables)


def examples_of(samples: Samples, resolution: int) -> list[Example]:
    """Each of the photos with its hole."""
    examples = []
    for number, name in enumerate(samples.names):
        sample = samples.read(number)
        example = with_hole(sample, "irregular", IRREGULAR, chance(0, name, IRREGULAR))
        if resolution != 256:
            mask = np.zeros_like(example.mask)
            corner = (resolution - SQUARE) // 2
            mask[corner : corner + SQUARE, corner : corner + SQUARE] = True
            example = Example(sample.image, mask, sample.edges, example.hints)
        examples.append(example)
    return examples


def score(pipe: EdgeConnectPipeline, examples: list[Example], way: str) -> Row:
    """A row of the table."""
    drawn = torch.cat([draw(pipe, example, WAYS[way]) for example in examples])
    true, masks = (
        torch.stack([torch.from_numpy(each).float()[None] for each in planes])
        for planes in ([each.edges / 255 for each in examples], [each.mask for each in examples])
    )
    return {
        "lines": way,
        "F1 within two pixels": f"{edge_f1(true, drawn, masks):.3f}",
        "of another photo's": f"{edge_f1(true.roll(1, 0), drawn, masks):.3f}",
    }


def draw(pipe: EdgeConnectPipeline, example: Example, above: float | None) -> torch.Tensor:
    """`[1,1,S,S]`, the lines of an example; by hints from half the size if `above` is given."""
    image, mask = Image.fromarray(example.image), Image.fromarray(example.mask)
    known, hints = Image.fromarray(example.edges), None
    if above is not None:
        size = (image.width // 2, image.height // 2)
        half = cv2.resize(example.mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        coarse = pipe.generate_edges(
            image.resize(size, Image.Resampling.BOX), half, strategy="original", output_type="pt"
        )
        enlarged = torch.nn.functional.interpolate((coarse > above).float(), scale_factor=2)
        hints = thin(enlarged) * torch.from_numpy(example.mask)
    return pipe.generate_edges(
        image, mask, known_edges=known, edge_hints=hints, strategy="original", output_type="pt"
    ).clamp(0, 1)


if __name__ == "__main__":
    main()
