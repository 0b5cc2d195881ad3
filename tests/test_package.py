"""What `pip install edgeconnect-hf` gives."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from shutil import copyfile

import pytest

import edgeconnect_hf
from edgeconnect_hf.hub.card import INSTALL

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "edgeconnect_hf" / "examples"
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def test_every_public_name_resolves_and_is_listed():
    for name in edgeconnect_hf.__all__:
        assert getattr(edgeconnect_hf, name) is not None
    assert set(dir(edgeconnect_hf)) == set(edgeconnect_hf.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Stranger'"):
        edgeconnect_hf.Stranger  # noqa: B018


def test_importing_the_package_imports_neither_torch_nor_diffusers():
    program = "import sys, edgeconnect_hf; print({'torch', 'diffusers', 'cv2', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from it, as for the package index."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, capture_output=True, text=True, check=True)
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(distributions, tmp_path_factory) -> Path:
    """A folder with what the wheel installs, without its dependencies. `make rehearse` installs these too."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(distributions[1]) as archive:
        archive.extractall(folder)
    return folder


def run_installed(installed: Path, folder: Path, *arguments: object) -> str:
    """What a Python prints that finds the package in `installed`, not in this checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_runs_the_readmes_python(installed, tiny_pipeline, tmp_path):
    """The six lines, the editing below them, and then diffusers' own loader, which the import lets find our class."""
    tiny_pipeline.save_pretrained(tmp_path / "tiny")
    copyfile(EXAMPLES / "door.jpg", tmp_path / "photo.jpg")
    copyfile(EXAMPLES / "door_mask.png", tmp_path / "mask.png")
    first, second, *_ = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    assert len(first.strip().splitlines()) == 6
    program = f"""{first}{second}
import edgeconnect_hf
from diffusers import DiffusionPipeline
print(edgeconnect_hf.__file__, type(DiffusionPipeline.from_pretrained("tiny")) is EdgeConnectPipeline)
"""
    printed = run_installed(installed, tmp_path, "-c", program)
    assert printed == f"{installed / 'edgeconnect_hf' / '__init__.py'} True\n"
    assert (tmp_path / "repaired.png").stat().st_size > 0


def test_the_wheel_holds_all_that_the_package_needs_and_nothing_else(installed):
    package = ROOT / "edgeconnect_hf"
    of_checkout = {path.relative_to(ROOT) for path in package.rglob("*") if path.is_file()}
    of_checkout = {path for path in of_checkout if "__pycache__" not in path.parts}
    of_space = {Path("edgeconnect_hf/hub/space") / path.name for path in (ROOT / "space").glob("*.*")}
    of_space.add(Path("edgeconnect_hf/hub/space/LICENSE"))
    files = {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()}
    assert {path for path in files if not path.parts[0].endswith(".dist-info")} == of_checkout | of_space
    assert sum(path.suffix == ".safetensors" for path in files) == 2
    assert Path("edgeconnect_hf/py.typed") in files


def test_the_sdist_holds_all_that_the_tests_need(distributions, tmp_path):
    """What git knows, and nothing that it ignores; a test that reads pictures and recipes runs there."""
    with tarfile.open(distributions[0]) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.2, Debian 12's, has none
        archive.extractall(tmp_path)
    (folder,) = tmp_path.iterdir()
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if (ROOT / ".git").exists():
        listed = ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"]
        known = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
        assert files - {"PKG-INFO"} == {name for name in known if (ROOT / name).exists()}
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_provenance.py", "tests/test_differences.py"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_readme_of_the_index_has_no_relative_link_and_names_the_one_repository(installed):
    (metadata,) = installed.glob("*.dist-info/METADATA")
    text = metadata.read_text()
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert len(targets) > 10
    assert all(target.startswith("https://") for target in targets)
    for target in targets:
        if target.startswith(REPOSITORY):
            kind, _, path = target.removeprefix(f"{REPOSITORY}/").partition("/main/")
            assert kind in ("blob", "raw")
            assert (ROOT / path.partition("#")[0]).is_file(), target
    assert f"Project-URL: Repository, {REPOSITORY}\n" in text


def test_the_repository_is_called_the_same_everywhere():
    """Where it moves: docs/releasing.md has the one command."""
    assert INSTALL in ("pip install edgeconnect-hf", f"pip install git+{REPOSITORY}")
    assert f"```bash\n{INSTALL}\n" in (ROOT / "README.md").read_text()
    texts = [path.read_text() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "pyproject.toml")]
    names = {name for text in texts for name in re.findall(r"https://github\.com/[\w.-]+/edgeconnect-hf\b", text)}
    assert names == {REPOSITORY}


def test_released_card_is_up_to_date_and_valid(tmp_path):
    """Where it fails: `python training/release_card.py`."""
    from huggingface_hub import ModelCard

    from training.release_card import BUNDLED, root_card, write_release_card

    released = (BUNDLED / "README.md").read_text()
    assert released == write_release_card(tmp_path).read_text()
    assert root_card(released) == (ROOT / "model_card.md").read_text()
    for folder, card_text in ((BUNDLED, released), (ROOT, root_card(released))):
        assert all((folder / picture).is_file() for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", card_text))
    card = ModelCard(released)
    data = card.data
    assert (data.library_name, data.pipeline_tag, data.license) == ("edgeconnect-hf", "image-to-image", "apache-2.0")
    assert [BUNDLED / picture["src"] for picture in data.widget] == [BUNDLED / "samples.jpg", BUNDLED / "signs.jpg"]
    assert {result.metric_type for result in data.eval_results} == {"psnr", "ssim", "l1"}
    assert "EdgeConnectPipeline.from_pretrained()" in card.text
