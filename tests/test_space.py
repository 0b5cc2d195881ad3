"""Deploying the Space to a local Hub, and starting it from what was uploaded."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from fake_hub import FakeHub
from huggingface_hub import metadata_load
from PIL import Image

pytest.importorskip("gradio", reason="the Space needs the extra `demo`")

from gradio_client import Client, handle_file

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.demo import EXAMPLES

ROOT = Path(__file__).parent.parent
SPACE = ROOT / "space"


@pytest.fixture(scope="module")
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def deploy(hub, tmp_path):
    def deploy(*arguments: str) -> str:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": "hf_test",
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
        }
        done = subprocess.run(
            [sys.executable, SPACE / "deploy.py", *arguments], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return deploy


def write_files(hub: FakeHub, space: str, folder: Path) -> None:
    repository = hub.repos["spaces", space]
    for name, entry in repository["commits"][repository["refs"]["main"]].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hub.lfs[entry["lfs"]] if "lfs" in entry else entry["data"])


def test_the_header_is_what_the_hub_takes():
    header = metadata_load(SPACE / "README.md")
    assert header["sdk"] == "gradio"
    assert re.fullmatch(r"\d+\.\d+\.\d+", header["sdk_version"])
    # Without it the Hub takes Python 3.10, for which diffusers has no release that fits.
    lowest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert header["python_version"] == lowest.removeprefix(">=")
    assert (SPACE / header["app_file"]).is_file()
    assert (SPACE / header["thumbnail"]).is_file()
    assert len(header["short_description"]) <= 60  # the Hub's limit
    assert "inpainting" in header["tags"]


def test_requirements_are_the_packages_dependencies():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert (SPACE / "requirements.txt").read_text().split("\n")[:-1] == sorted(dependencies)


def test_examples_have_masks_of_their_size_and_are_small():
    photos = sorted(EXAMPLES.glob("*.jpg"))
    assert 3 <= len(photos) <= 4
    for photo in photos:
        with Image.open(photo) as image, Image.open(photo.with_name(f"{photo.stem}_mask.png")) as mask:
            assert image.size == mask.size
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < 600_000


def test_the_uploaded_space_runs_by_itself(deploy, hub, tmp_path):
    assert deploy("tester/edges") == f"{hub.url}/spaces/tester/edges\n"
    deploy("tester/edges")  # again, over what is there
    folder = tmp_path / "space"
    write_files(hub, "tester/edges", folder)
    header = metadata_load(folder / "README.md")
    assert header["thumbnail"] == f"{hub.url}/spaces/tester/edges/resolve/main/thumbnail.png"
    assert 'Client("tester/edges")' in (folder / "README.md").read_text()
    assert not list(folder.rglob("__pycache__"))
    parts = {path.name for path in (ROOT / "edgeconnect_hf" / "demo" / "static").iterdir()}
    assert {path.name for path in (folder / "edgeconnect_hf" / "demo" / "static").iterdir()} == parts

    # -P: nothing of the checkout is on the path, the package is the uploaded one.
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment |= {"GRADIO_TEMP_DIR": str(tmp_path / "gradio"), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    app = subprocess.Popen(
        [sys.executable, "-P", "app.py"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        url = next(line.split()[-1] for line in app.stdout if "http" in line)
        client = Client(url, verbose=False)
        photo, mask = EXAMPLES / "door.jpg", EXAMPLES / "door_mask.png"
        repaired, _ = client.predict(handle_file(photo), handle_file(mask), api_name="/inpaint")
        client.close()
    finally:
        app.terminate()
        app.communicate(timeout=30)
    expected = EdgeConnectPipeline.from_pretrained()(Image.open(photo), Image.open(mask)).images[0]
    assert np.abs(np.asarray(Image.open(repaired)).astype(int) - np.asarray(expected)).max() <= 1  # threads may differ


def test_models_of_the_hub_stand_in_the_header(deploy, hub, tmp_path):
    deploy("tester/two", "--model", "tester/facades", "--model", "tester/flowers", "--private")
    write_files(hub, "tester/two", tmp_path / "space")
    assert metadata_load(tmp_path / "space" / "README.md")["models"] == ["tester/facades", "tester/flowers"]
    assert hub.repos["spaces", "tester/two"]["private"]


def test_a_name_that_cannot_be_is_refused_in_words():
    done = subprocess.run([sys.executable, SPACE / "deploy.py", "bad name"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("deploy.py: error: the push to 'bad name' failed: Repo id must")
    assert "Traceback" not in done.stderr
