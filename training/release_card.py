"""Writes the card of the released model: `model_card.md`, and its copy in the bundled model's folder.

    python training/release_card.py

The metrics are those of `training/results/`, written by `training/evaluation/evaluate.py`.
"""

import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from huggingface_hub import EvalResult

from edgeconnect_hf.hub.card import write_model_card
from training.evaluation.report import markdown_report, markdown_table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "training" / "results"
BUNDLED = ROOT / "edgeconnect_hf" / "checkpoints" / "buildings"

_NOTE = "<!-- Written by `python training/release_card.py`: edit that, not this file. -->"
_TITLE = "EdgeConnect, buildings"
_METRICS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "l1": "L1 (%)"}
_SOURCES = {
    "street_fronts": ("Saint Petersburg street fronts", "Urban-Research-Lab/building-facades-advertising-dataset"),
    "apartments": ("Apartment buildings", "a-hwang/building-facade-segmentation"),
    "rooms": ("Rooms of Open Images", "MiguelARD/DoorDetect-Dataset"),
}
_GRID, _SIGNS = "samples.jpg", "signs.jpg"

_SUMMARY = """\
A small model for street fronts, buildings and rooms, trained on two CPU cores with photos of known source and licence.
It draws crisp lines that a person can edit, paints what these lines say, and keeps the surrounding colours."""

_NETWORKS = """\
Edge generator and completion generator of the paper's architecture (appendix A) with 32 base channels in place of 64,
eight residual blocks, spectral norm folded, half precision: 10.8 MB. The pipeline has `match_colours` on: the
difference of the painted colours at the known pixels is carried into the hole, as in Poisson blending; and
`match_texture`: detail comes from places in the photo that look like what was painted (PatchMatch)."""

_TRAINING_DATA = """\
1,792 photos: street fronts ([{street}](https://github.com/{street}), CC0 1.0, those that the set's authors took),
apartment buildings ([{apartments}](https://github.com/{apartments}), CC BY 4.0), rooms (the Open Images part of
[{rooms}](https://github.com/{rooms}), CC BY 2.0) and plants (TensorFlow's `flower_photos`, CC BY 2.0).
`ATTRIBUTION.md` names every photo; `python training/data/prepare.py` rebuilds the set, by
`training/data/data_manifest.ini`.

Release 1 is withdrawn. It was trained on a facade set published as CC0, of which photos 051 to 262 are street-view
screenshots and 017 to 019, most of 280 to 305, 466 to 487, 505 and 506 probably pictures from the web: their licence
was not the set's to give. Its weights, figures and samples are gone; please do not use copies of them.""".format(
    **{name.split("_")[0]: source for name, (_, source) in _SOURCES.items()}
)

_TRAINING = """\
From scratch, by `training/train.py`, in some fourteen hours of one CPU core. Edge generator, 95,000 photos: with all
losses, by cross-entropy, then with a discriminator (hinge, feature matching, cross-entropy 1.5) at 128x128 and 192x192;
the last 47,000, among them plain ground, by `training/recipes/buildings-edge.yaml`.
Completion generator, 89,000 photos: with all losses, by the absolute difference in the hole, with a discriminator at
128x128 and 192x192; then by `training/recipes/buildings-completion.yaml`: 13,600 photos with a discriminator and, from
mixed true and generated lines, 24,000 without one at 128x128 to 256x256, by absolute differences and VGG19's features.
Moving average."""

_EVALUATION = """\
{report}
Forty of these holes were judged by eye, unlabelled and in random order (`training/evaluation/blind.py`). Against
PatchMatch (seed 13), this model was preferred in 9, PatchMatch in 26, neither in 5: PatchMatch is crisper, and this
model leaves some haze in wide holes. Against release 1 (seed 14, without two photos that release 1 was trained on),
this model was preferred in 33, release 1 in 1, neither in 6. That was 34,000 photos of the edge generator ago, with
less detail in the texture. The judge was an AI model shown the sheets, not a person.

On 20 photos of monuments, from outside the training data (`training/evaluation/monuments.csv` names them):

{monuments}
`true_edges` paints from Canny's lines of the whole image, `no_edges` from none; `telea` and `fsr_fast` are
OpenCV's, `patchmatch` that of the package pypatchmatch. LPIPS is on AlexNet. The columns *chance* have the F1 of the
same lines against the true ones of another photo, in the same hole. Seconds per image are of one busy CPU core (AMD
EPYC, Zen 5; FSR's of an Intel Xeon). Computed by

```
{command}
```"""

_COMMAND = """\
python training/evaluation/evaluate.py --dataset data/street_fronts data/apartments data/rooms --max_pictures 20 \\
  --mask_bins 20-30,40-50 --methods model,true_edges,no_edges,telea,fsr_fast,patchmatch \\
  --lpips_weights lpips_alex.safetensors"""

_SAMPLES = f"""\
Irregular holes of 20 to 30 % of the image, 256x256, not selected; the last column has the lines that the edge
generator drew. They are the grids that the command above writes with `--grid_pictures 3`, one above the other.

![Validation images]({_GRID})

{{looks}}

Shop signs removed from ten street fronts that the model has not seen, at 1280x720: the photo, the lines, the result
(`python training/evaluation/signs.py --dataset data/street_fronts/validation`).

![Signs, lines, results]({_SIGNS})"""

_LOOKS = """\
What it does well: cornices, door frames and window frames continue across a stroke, colours and textures (brick,
plaster, boards) without a seam. From true lines (`true_edges`) it paints windows, drawers and arches: lines that a
person draws become objects.

Where it fails: holes wider than some sixty pixels come out grayer or browner than their surroundings. Far from any
known line, the edge generator draws short strokes along the rim; erase them before painting. Windows that are hidden
completely are seldom invented, and texture is taken from the wrong place at times."""

_LIMITS = """\
- A shift of colour, and texture from the wrong place, in holes wider than some sixty pixels. See the samples.
- Lines that are not there, in wide holes.
- No text, faces or people.
- Photos of other subjects than buildings, rooms and plants: small holes only."""


def write_release_card(folder: Path) -> Path:
    """Writes the card into `folder` and returns its path."""
    report, monuments = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in ("buildings", "monuments")
    )
    evaluation = _EVALUATION.format(
        report=markdown_report(report), monuments=markdown_table(monuments["table"]), command=_COMMAND
    )
    path = write_model_card(
        folder,
        title=_TITLE,
        summary=_SUMMARY,
        license="apache-2.0",
        location="",
        widget=(_GRID, _SIGNS),
        sections={
            "Networks": _NETWORKS,
            "Training data": _TRAINING_DATA,
            "Training": _TRAINING,
            "Evaluation": evaluation,
            "Samples": _SAMPLES.format(looks=_LOOKS),
            "Limits": _LIMITS,
            "Licence": "The weights are under Apache-2.0, as the code. The photos' licences are in `ATTRIBUTION.md`.",
        },
        evaluation=[
            _eval_result(row, metric) for row in report["table"] if row["method"] == "model" for metric in _METRICS
        ],
    )
    header, body = path.read_text(encoding="utf-8").split("\n---\n", maxsplit=1)
    path.write_text(f"{header}\n---\n{_NOTE}\n{body}", encoding="utf-8")
    return path


def _eval_result(row: dict[str, Any], metric: str) -> EvalResult:
    name, source = _SOURCES[row["set"]]
    return EvalResult(
        task_type="image-to-image",
        dataset_type=source,
        dataset_name=name,
        dataset_config=f"irregular holes of {row['hole']} %",
        dataset_split="validation",
        metric_type=metric,
        metric_name=_METRICS[metric],
        metric_value=round(row[metric], 4),
    )


def root_card(card: str) -> str:
    """The card for the repository's root, with the paths to its images and to the attribution."""
    folder = BUNDLED.relative_to(ROOT).as_posix()
    for name in (_GRID, _SIGNS):
        card = card.replace(f"({name})", f"({folder}/{name})")
    return card


if __name__ == "__main__":
    card = write_release_card(BUNDLED).read_text(encoding="utf-8")
    (ROOT / "model_card.md").write_text(root_card(card), encoding="utf-8")
