"""Writes the card of the released model, `model_card.md`, and its copy in the bundled model's folder.

    python training/release_card.py

Its figures come from `training/results/facades_prototype.json`, as `training/evaluate.py` wrote them.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script, from wherever: its siblings are imported as `training.…`
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from huggingface_hub import EvalResult

from edgeconnect_hf.model_card import write_model_card
from training.report import markdown_report

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "training" / "results" / "facades_prototype.json"
BUNDLED = ROOT / "edgeconnect_hf" / "checkpoints" / "facades"

_DATA = "Urban-Research-Lab/building-facades-advertising-dataset"
_METRICS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "l1": "L1 (%)"}

_SUMMARY = """\
A prototype that shows the package at work: small, trained briefly on two CPU cores. It closes small holes softly and a
little gray; it draws few lines in a hole and does not invent windows. To be replaced by a model trained for longer."""

_NETWORKS = """\
Edge generator and completion generator of the paper's architecture (appendix A) with 32 base channels in place of 64,
eight residual blocks, spectral norm folded, half precision: 10.8 MB."""

_TRAINING_DATA = f"""\
433 street fronts of Saint Petersburg from [{_DATA}](https://huggingface.co/datasets/{_DATA})
(CC0) and 3,489 pictures of TensorFlow's `flower_photos` (CC BY 2.0, by their photographers as listed in that data
set's licence file)."""

_TRAINING = """\
45 minutes on two CPU cores: at 64x64, then at 128x128, which is the `sample_size` of its configuration."""

_EVALUATION = """\
{report}
`true_edges` paints from Canny's lines of the whole picture, `no_edges` from none; `telea` and `navier_stokes` are
OpenCV's. The VGG19 distance is the mean absolute difference of VGG19's features; it is neither LPIPS nor FID. Seconds a
picture are those of two CPU cores that had other work too. Made by

```
{command}
```"""

_COMMAND = """\
python training/evaluate.py --dataset facades/validation \\
  --methods model,true_edges,no_edges,telea,navier_stokes --vgg_weights vgg19_to_conv3_4.safetensors"""

_LIMITS = """\
- Saturated walls come out paler than they are. Holes of 30 % and more are blurred and gray: OpenCV's methods do
  better there.
- Text, faces and people are not in its reach.
- Photos of other things than street fronts and flowers: small holes only."""


def write_release_card(folder: Path) -> Path:
    """Write the card into `folder` and return its path."""
    report = json.loads(RESULTS.read_text(encoding="utf-8"))
    evaluation = _EVALUATION.format(report=markdown_report(report), command=_COMMAND)
    return write_model_card(
        folder,
        title="EdgeConnect, street fronts: prototype",
        summary=_SUMMARY,
        license="apache-2.0",
        location="",
        datasets=[_DATA],
        sections={
            "Networks": _NETWORKS,
            "Training data": _TRAINING_DATA,
            "Training": _TRAINING,
            "Evaluation": evaluation,
            "Limits": _LIMITS,
            "Licence": "The weights are under Apache-2.0, as the code.",
        },
        evaluation=[
            _eval_result(row, metric) for row in report["table"] if row["method"] == "model" for metric in _METRICS
        ],
    )


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


if __name__ == "__main__":
    shutil.copy(write_release_card(BUNDLED), ROOT / "model_card.md")
