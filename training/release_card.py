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
from training.evaluation.report import markdown_report

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "training" / "results"
BUNDLED = ROOT / "edgeconnect_hf" / "checkpoints" / "facades"

_NOTE = "<!-- Written by `python training/release_card.py`: edit that, not this file. -->"
_DATA = "Urban-Research-Lab/building-facades-advertising-dataset"
_METRICS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "l1": "L1 (%)"}
_GRID = "samples.jpg"

_SUMMARY = """\
A small model, trained on two CPU cores. It removes signs and other objects from walls, keeps the surrounding colours,
continues cornices and window frames, and paints what you draw. It does not invent windows."""

_NETWORKS = """\
Edge generator and completion generator of the paper's architecture (appendix A) with 32 base channels in place of 64,
eight residual blocks, spectral norm folded, half precision: 10.8 MB. The pipeline has `match_colours` on: the
difference of the painted colours at the known pixels is carried into the hole, as in Poisson blending."""

_TRAINING_DATA = f"""\
433 street fronts of Saint Petersburg from [{_DATA}](https://github.com/{_DATA})
(CC0), and TensorFlow's `flower_photos` (CC BY 2.0, by their photographers as listed in that data set's licence file):
3,489 of them for the prototype that training began with, every sixteenth after that. `python training/data/prepare.py`
rebuilds both from the public sets, by `training/data/data_manifest.ini`."""

_TRAINING = """\
By `training/recipes/bundled.sh`, on two CPU cores, in about five and a half hours: from a prototype (45 minutes at
64x64 and 128x128), both generators in parallel (AMD EPYC, bf16), at 128x128 on 17,600 images for the edge
generator and 23,120 for the completion generator, at 256x256 on 7,400 and 5,350; then both end to end, the joint
stage, on 3,300 images of 256x256 (one core of an Intel Xeon, fp32, 105 minutes). The edge generator learned by
cross-entropy of the lines in the hole, the completion generator by the absolute difference of the colours there and,
for the last 8,600 images, the perceptual loss of VGG19 up to relu3_1, from mixed true and generated lines and
through a coarser `match_colours`; moving average. No adversarial loss, no style loss."""

_EVALUATION = """\
{report}
On squares of a quarter of the image:

{rectangles}
`true_edges` paints from Canny's lines of the whole image, `no_edges` from none; `telea` and `navier_stokes` are
OpenCV's. The VGG19 distance is the mean absolute difference of VGG19's features; it is neither LPIPS nor FID. Seconds
per image are of one CPU core (AMD EPYC without AVX-512, fp32) beside a busy one. Computed by

```
{command}
```"""

_COMMAND = """\
python training/evaluation/evaluate.py --dataset facades/validation --grid_pictures 20 \\
  --methods model,true_edges,no_edges,telea,navier_stokes --vgg_weights vgg19_to_conv3_4.safetensors
python training/evaluation/evaluate.py --dataset facades/validation --grid_pictures 20 --masks rectangle \\
  --methods model,true_edges,no_edges,telea,navier_stokes --vgg_weights vgg19_to_conv3_4.safetensors \\
  --output_dir runs/rectangles"""

_SAMPLES = f"""\
Irregular holes of 20 to 30 % of the image, 256x256, not selected; the last column has the lines that the edge
generator drew. Made by the first command above with `--methods telea,model,true_edges --mask_bins 20-30`.

![Validation images]({_GRID})

{{looks}}"""

_LOOKS = """\
What it does well: colours continue those around the hole, on saturated walls too, without a seam. Cornices, pipes, door
frames and partly visible window frames continue across a stroke, where Telea smears wedges. From true lines
(`true_edges`) it paints windows, arches, cars and the ghosts of letters: lines that a person draws become objects.

Where it fails: holes wider than some forty pixels are blurred, letters become smudges, and windows that are hidden
completely are not invented, on the squares of a quarter of the image neither. Far from any known line the edge
generator draws a gray haze, which means that it does not know. Between two continued lines faint streaks remain, and on
a plain wall, enlarged, a pattern of four pixels."""

_LIMITS = """\
- Blur in holes wider than some forty pixels; see the samples.
- The lines that it draws gain little over none, those drawn by a person much: `docs/model.md` has both figures.
- No text, faces or people.
- Photos of other subjects than street fronts and flowers: small holes only."""


def write_release_card(folder: Path) -> Path:
    """Writes the card into `folder` and returns its path."""
    report, rectangles = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in ("facades", "facades_rectangle")
    )
    evaluation = _EVALUATION.format(
        report=markdown_report(report), rectangles=markdown_report(rectangles), command=_COMMAND
    )
    path = write_model_card(
        folder,
        title="EdgeConnect, street fronts",
        summary=_SUMMARY,
        license="apache-2.0",
        location="",
        sections={
            "Networks": _NETWORKS,
            "Training data": _TRAINING_DATA,
            "Training": _TRAINING,
            "Evaluation": evaluation,
            "Samples": _SAMPLES.format(looks=_LOOKS),
            "Limits": _LIMITS,
            "Licence": "The weights are under Apache-2.0, as the code.",
        },
        evaluation=[
            _eval_result(row, metric) for row in report["table"] if row["method"] == "model" for metric in _METRICS
        ],
    )
    header, body = path.read_text(encoding="utf-8").split("\n---\n", maxsplit=1)
    path.write_text(f"{header}\n---\n{_NOTE}\n{body}", encoding="utf-8")
    return path


def _eval_result(row: dict[str, Any], metric: str) -> EvalResult:
    return EvalResult(
        task_type="image-to-image",
        dataset_type=_DATA,
        dataset_name="Saint Petersburg street fronts",
        dataset_config=f"irregular holes of {row['hole']} %",
        dataset_split="validation",
        metric_type=metric,
        metric_name=_METRICS[metric],
        metric_value=round(row[metric], 4),
    )


def root_card(card: str) -> str:
    """The card for the repository's root, with the path to its images."""
    return card.replace(f"({_GRID})", f"({(BUNDLED / _GRID).relative_to(ROOT).as_posix()})")


if __name__ == "__main__":
    card = write_release_card(BUNDLED).read_text(encoding="utf-8")
    (ROOT / "model_card.md").write_text(root_card(card), encoding="utf-8")
