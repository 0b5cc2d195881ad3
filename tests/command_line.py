"""Fixtures of the tests of the command line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeconnect_hf import cli


@pytest.fixture
def files(photo, hole, tmp_path) -> Path:
    """A folder with photo.png, mask.png and an output folder."""
    photo.save(tmp_path / "photo.png")
    hole.save(tmp_path / "mask.png")
    return tmp_path


@pytest.fixture(scope="session")
def model(tiny_pipeline, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_pipeline.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def run(files, model, capsys, monkeypatch):
    """Run `edgeconnect` in the folder, on the tiny model; returns exit code, standard output, standard error."""
    monkeypatch.chdir(files)

    def run(*arguments: str):
        takes_model = arguments[0] in ("inpaint", "edges") and "--model" not in arguments
        try:
            code = cli.main([*arguments, *(["--model", model] if takes_model else [])])
        except SystemExit as end:  # argparse
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def pixels(path):
    return np.asarray(Image.open(path))


def names(folder: Path) -> list[str]:
    """The visible files of a folder."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def subprocess_run(*command: str, cwd: Path, **env: str):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
