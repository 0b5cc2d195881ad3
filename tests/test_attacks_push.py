"""The door to the Hub: only a model goes up, whatever lies beside it. The real client, a Hub on this machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_hub import FakeHub
from PIL import Image

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator
from edgeconnect_hf.hub import push_folder
from edgeconnect_hf.hub.card import write_model_card
from training.config import TrainingConfig
from training.publish import write_card

ROOT = Path(__file__).parent.parent
SECRET = "HF_TOKEN=hf_very_secret"
MODEL = {
    "README.md",
    "model_index.json",
    "edge_generator/config.json",
    "edge_generator/diffusion_pytorch_model.safetensors",
    "completion_generator/config.json",
    "completion_generator/diffusion_pytorch_model.safetensors",
}
FURTHER = {  # of ONNX, a training run, a released model; shards and variants: tests/test_hub.py
    "ATTRIBUTION.md",
    "samples.jpg",
    "signs.jpg",
    "edge_generator/model.onnx",
    "completion_generator/model_fp16.onnx",
    "end_to_end.onnx",
    "completion_discriminator/README.md",
    "completion_discriminator/config.json",
    "completion_discriminator/model.safetensors",
}
STRAY = {
    ".env",
    "training_config.yaml",
    "photo.jpg",
    "optimizer.safetensors",
    "checkpoint-5/state.json",
    "logs/edgeconnect_hf/events.out.tfevents",
    "validation/step-0000001.png",
    "edge_generator/.env",
    "edge_generator/.config.json",
    "edge_generator/optimizer.bin",
    "edge_generator/optimizer.safetensors",
    "edge_generator/model.safetensors",
    "edge_generator/diffusion_pytorch_model.bin",
    "edge_generator/diffusion_pytorch_model.safetensors.bak",
    "edge_generator/diffusion_pytorch_model/config.json",
    "edge_generator/photo.png",
    "edge_generator/handler.py",
    "edge_discriminator/optimizer.bin",
    "edge_discriminator/pytorch_model.bin",
}


@pytest.fixture(scope="module")
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture(scope="module")
def on_hub(hub, tmp_path_factory) -> dict[str, str]:
    """The environment of a process that pushes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    home = str(tmp_path_factory.mktemp("home"))
    return {**environment, "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_test", "HF_HOME": home, "HF_HUB_DISABLE_XET": "1"}


def write(folder: Path, names: set[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(SECRET + name)


def make_model(folder: Path) -> Path:
    """A trained model's folder, of the smallest networks."""
    sizes = {"base_channels": 1, "num_residual_blocks": 1}
    EdgeConnectPipeline(EdgeGenerator(**sizes), CompletionGenerator(**sizes)).save_pretrained(folder)
    Image.new("RGB", (8, 8)).save(folder / "validation.png")
    config = TrainingConfig(train_data_dir="photos", max_train_steps=1, output_dir=str(folder))
    write_card(folder, config, step=1, samples=2, minutes=0.1, logged={"l1": 0.5})
    return folder


@pytest.fixture
def model(tmp_path) -> Path:
    return make_model(tmp_path / "model")


PUSH_ALL = """
import json, sys
from pathlib import Path
from edgeconnect_hf.hub import push_folder
from training.config import TrainingConfig
from training.publish import push
folder, outcomes = Path(sys.argv[1]), {}
def outcome(name, call, *arguments, **options):
    try:
        call(*arguments, **options)
        outcomes[name] = None
    except Exception as error:
        outcomes[name] = f"{type(error).__name__}: {error}"
for path in sorted(folder.iterdir()):
    outcome(path.name, push_folder, path, f"tester/{path.name}")
outcome("asked", push_folder, folder / "trained", "tester/asked", push_validation_pictures=True)
settings = {"train_data_dir": "photos", "max_train_steps": 1}
def train_and_push(name, **flags):
    push(folder / "trained", TrainingConfig(**settings, hub_model_id=f"tester/{name}", **flags))
outcome("run", train_and_push, "run")
outcome("asked-run", train_and_push, "asked-run", push_validation_pictures=True)
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def pushed(on_hub, tmp_path_factory) -> tuple[dict, str]:
    """What became of each folder, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("models")
    outside = tmp_path_factory.mktemp("outside")
    write(outside, {"secret.txt", "folder/config.json"})
    make_model(folder / "trained")
    write(make_model(folder / "whole"), FURTHER)
    strays = make_model(folder / "strays")
    write(strays, STRAY)
    (strays / "edge_generator" / "more.txt").symlink_to(outside / "secret.txt")
    (strays / "edge_generator" / "more").symlink_to(outside / "folder")
    (strays / "completion_discriminator").symlink_to(outside / "not there")
    (make_model(folder / "linked-card") / "README.md").unlink()
    (folder / "linked-card" / "README.md").symlink_to(outside / "secret.txt")
    weights = make_model(folder / "linked-weights") / "edge_generator" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    weights.symlink_to(outside / "secret.txt")
    (make_model(folder / "linked-folder") / "edge_discriminator").symlink_to(outside / "folder")
    (make_model(folder / "no-file") / "edge_generator" / "model.onnx").mkdir()
    edited = make_model(folder / "edited") / "README.md"
    card = edited.read_text().replace("fixed before", "by hand, fixed before").replace("(validation", "(./validation")
    edited.write_text(card)
    done = subprocess.run(
        [sys.executable, "-c", PUSH_ALL, folder], cwd=ROOT, env=on_hub, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def files(hub: FakeHub, name: str, kind: str = "models") -> dict:
    repo = hub.repos[kind, f"tester/{name}"]
    return repo["commits"][repo["refs"]["main"]]


def card(hub: FakeHub, name: str) -> str:
    return files(hub, name)["README.md"]["data"].decode()


def test_what_belongs_to_a_model_goes_up_and_nothing_else(hub, pushed):
    outcomes, said = pushed
    assert outcomes["whole"] is None
    assert set(files(hub, "whole")) == MODEL | FURTHER
    assert outcomes["strays"] is None
    assert set(files(hub, "strays")) == MODEL
    assert "edge_generator/.env is no file of a model: not pushed." in said


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("linked-card", "README.md"),
        ("linked-weights", "diffusion_pytorch_model.safetensors"),
        ("linked-folder", "edge_discriminator"),
        ("no-file", "model.onnx"),
    ],
)
def test_a_link_in_the_place_of_a_file_is_refused_by_its_name(hub, pushed, name, named):
    outcomes, _ = pushed
    assert outcomes[name].startswith("ValueError: `folder` has ")
    assert f"{named}', which is a link or no regular file" in outcomes[name]
    assert ("models", f"tester/{name}") not in hub.repos


def test_nothing_secret_left_this_machine(hub, pushed):
    commits = [commit for repo in hub.repos.values() for commit in repo["commits"].values()]
    sent = [entry["data"] for commit in commits for entry in commit.values() if "data" in entry]
    assert any((SECRET + "ATTRIBUTION.md").encode() in content for content in sent)  # what may go, did
    for content in (*hub.lfs.values(), *sent):
        assert not any((SECRET + name).encode() in content for name in STRAY | {"secret.txt", "folder/config.json"})


@pytest.mark.parametrize("name", ["trained", "run", "edited"])
def test_validation_pictures_stay_here_and_the_card_does_not_show_them(hub, pushed, name):
    assert pushed[0][name] is None
    assert "validation.png" not in files(hub, name)
    assert "validation.png" not in card(hub, name)
    assert "## Settings" in card(hub, name)
    assert ("by hand, fixed before" in card(hub, name)) is (name == "edited")  # only the picture of an edited section


@pytest.mark.parametrize("name", ["asked", "asked-run"])
def test_validation_pictures_go_up_when_asked_for(hub, pushed, name):
    assert pushed[0][name] is None
    assert "validation.png" in files(hub, name)
    assert "![validation grid](validation.png)" in card(hub, name)


@pytest.mark.parametrize(("flags", "is_sent"), [([], False), (["--push-validation-pictures"], True)])
def test_the_command_line_sends_them_only_when_told_to(hub, on_hub, model, flags, is_sent):
    name = f"by-hand-{len(flags)}"
    command = [sys.executable, "-m", "edgeconnect_hf.cli", "push", model, f"tester/{name}", *flags]
    done = subprocess.run(command, cwd=ROOT, env=on_hub, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ("validation.png" in files(hub, name)) is is_sent
    assert ("validation.png" in card(hub, name)) is is_sent
    assert "![validation grid](validation.png)" in (model / "README.md").read_text()  # here it stays


def test_a_linked_validation_picture_is_refused(model, tmp_path):
    (model / "validation.png").rename(tmp_path / "photo.png")
    (model / "validation.png").symlink_to(tmp_path / "photo.png")
    with pytest.raises(ValueError, match="validation.png', which is a link"):
        push_folder(model, "tester/never", push_validation_pictures=True)


def test_other_cards_go_up_as_they_are(hub, on_hub, tmp_path):
    EdgeGenerator(base_channels=1, num_residual_blocks=1).save_pretrained(tmp_path)
    text = write_model_card(tmp_path, summary="![grid](validation.jpg)", license="other", location="tester/card")
    program = "import sys; from edgeconnect_hf.hub import push_folder; push_folder(sys.argv[1], 'tester/card')"
    subprocess.run([sys.executable, "-c", program, tmp_path], cwd=ROOT, env=on_hub, check=True)
    assert card(hub, "card") == text.read_text()


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of what the Space is made of."""
    for name in ("edgeconnect_hf", "space"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "LICENSE", tmp_path / "LICENSE")
    return tmp_path


def deploy(checkout: Path, name: str, on_hub: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, checkout / "space" / "deploy.py", f"tester/{name}"]
    return subprocess.run(command, env=on_hub, capture_output=True, text=True)


def test_the_space_is_made_of_the_package_alone(hub, on_hub, checkout):
    write(checkout, {".env", "space/.env", "space/notes.txt"})
    package = checkout / "edgeconnect_hf"
    write(package, {".env", "examples/.env", "examples/notes.txt", "token.txt", ".git/config", "demo.pkl"})
    write(package, {"checkpoints/buildings/optimizer.bin", "checkpoints/buildings/edge_generator/.env"})
    (package / "secret").symlink_to(checkout / "space")
    (package / "secret.txt").symlink_to(checkout / ".env")
    done = deploy(checkout, "space", on_hub)
    assert done.returncode == 0, done.stderr
    names = set(files(hub, "space", "spaces"))
    assert {name for name in names if "/" not in name} == {
        "README.md",
        "LICENSE",
        "app.py",
        "requirements.txt",
        "thumbnail.png",
    }
    endings = {".py", ".typed", ".json", ".safetensors", ".md", ".jpg", ".png", ".css", ".html", ".js", ".ts"}
    assert {Path(name).suffix for name in names if "/" in name} == endings
    for path in (ROOT / "edgeconnect_hf").rglob("*.py"):
        assert path.relative_to(ROOT).as_posix() in names
    assert not any("secret" in name or "/." in name for name in names)


def test_a_link_in_the_package_is_refused_by_its_name(hub, on_hub, checkout):
    write(checkout, {"secret"})
    (checkout / "edgeconnect_hf" / "settings.py").symlink_to(checkout / "secret")
    done = deploy(checkout, "linked", on_hub)
    assert done.returncode == 1
    assert "settings.py' is a link" in done.stderr
    assert "Traceback" not in done.stderr
