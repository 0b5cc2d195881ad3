"""Writes the card of the released model: `model_card.md` and its copy in the bundled model's folder.

    python training/release_card.py

Its figures come from `training/results/facades_prototype.json`, which `training/evaluate.py` wrote.
"""

import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # run as a script, from wherever
    sys.path.insert(0, str(ROOT))

from huggingface_hub import EvalResult

from edgeconnect_hf.model_card import write_model_card
