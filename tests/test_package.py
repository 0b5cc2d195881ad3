"""What `pip install edgeconnect-hf` gives."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import edgeconnect_hf

ROOT = Path(__file__).parent.parent


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


LOAD_GENERICALLY = """
import sys
from diffusers import DiffusionPipeline
print(type(DiffusionPipeline.from_pretrained(sys.argv[1])) is EdgeConnectPipeline)
"""


@pytest.fixture(scope="module")
def readme_program(tiny_pipeline, tmp_path_factory) -> tuple[str, Path, str]:
    """In the repository's root, the README's examples as they stand, then diffusers' own loader on a folder.

    The first example, the picture it saves, and what all of it prints.
    """
    folder = tmp_path_factory.mktemp("readme")
    tiny_pipeline.save_pretrained(folder / "tiny")
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    program = "".join(examples[:2]).replace('"repaired.png"', repr(str(folder / "repaired.png"))) + LOAD_GENERICALLY
    command = [sys.executable, "-c", program, folder / "tiny"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return examples[0], folder / "repaired.png", done.stdout


def test_generic_loader_finds_the_pipeline_after_the_import_the_readme_names(readme_program):
    assert readme_program[2] == "True\n"


def test_readme_examples_run(readme_program):
    """The six lines and the editing below them."""
    example, repaired, _ = readme_program
    assert len(example.strip().splitlines()) == 6
    assert repaired.stat().st_size > 0


def test_wheel_holds_the_bundled_model_the_examples_and_the_type_marker(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    subprocess.run(build, capture_output=True, text=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "edgeconnect_hf/py.typed" in names
    bundled = [
        path
        for folder in ("checkpoints", "examples")
        for path in (ROOT / "edgeconnect_hf" / folder).rglob("*")
        if path.is_file()
    ]
    assert {str(path.relative_to(ROOT)) for path in bundled} <= names
    assert sum(path.suffix == ".safetensors" for path in bundled) == 2
    assert not any(name.startswith(("tests/", "training/", "space/")) for name in names)


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
    assert (data.library_name, data.pipeline_tag, data.license) == ("diffusers", "image-to-image", "apache-2.0")
    assert {result.metric_type for result in data.eval_results} == {"psnr", "ssim", "l1"}
    assert "EdgeConnectPipeline.from_pretrained()" in card.text
