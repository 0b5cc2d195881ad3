"""The door of the checkpoints: whatever a stranger puts into one, nothing of it runs, and one sentence refuses it."""

import base64
import hashlib
import json
import logging
import os
import pickle
import shutil
import struct
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from training_runs import run, tiny_settings

from training import train
from training.checkpoints import folders
from training.checkpoints.folders import find_checkpoints, find_latest, is_whole, partial_folder, remove_old, seal
from training.config import EdgeLossWeights, TrainingConfig
from training.trainer import Trainer

# Without a discriminator, whose size is the paper's, a checkpoint has some kilobytes.
SETTINGS = {"edge_loss_weights": EdgeLossWeights(0, 0, cross_entropy=1), "use_ema": True, "report_to": "none"}


pytestmark = pytest.mark.usefixtures("_own_cache_and_one_thread")


@pytest.fixture(scope="module")
def data(training_data) -> Path:
    return training_data


@pytest.fixture(scope="module")
def untouched(data, tmp_path_factory) -> Path:
    """The folder of a real run with two checkpoints, not finished."""
    folder = tmp_path_factory.mktemp("run")
    run(data, folder, max_train_steps=2, checkpointing_steps=1, **SETTINGS)
    return folder


@pytest.fixture
def output_dir(untouched, tmp_path) -> Path:
    return shutil.copytree(untouched, tmp_path / "run")


@pytest.fixture
def checkpoint(output_dir) -> Path:
    return output_dir / "checkpoint-2"


def resume(data: Path, output_dir: Path, wanted: str = "latest", **overrides) -> Trainer:
    settings = {**SETTINGS, "resume_from_checkpoint": wanted, **overrides}
    return Trainer(TrainingConfig(**tiny_settings(data, output_dir, **settings)))


def hash_again(checkpoint: Path) -> None:
    """What anybody can do who changes a file."""
    files = [path for path in checkpoint.rglob("*") if path.is_file() and path.name != "files.json"]
    hashes = {path.relative_to(checkpoint).as_posix(): digest(path) for path in files}
    (checkpoint / "files.json").write_text(json.dumps(hashes))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def everything(folder: Path) -> dict[str, object]:
    """What lies in a folder, to be compared with later."""
    return {
        path.relative_to(folder).as_posix(): path.readlink() if path.is_symlink() else path.is_dir() or digest(path)
        for path in folder.rglob("*")
    }


class TouchOnLoad:
    """Unpickled, it leaves a file behind."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_a_checkpoint_is_json_and_safetensors(untouched):
    names = {path.name for path in (untouched / "checkpoint-2").iterdir()}
    tensors = {"edge_generator.safetensors", "generator_adam.safetensors", "ema.safetensors"}
    assert names == tensors | {"files.json", "state.json", "random_0.json"}
    for path in (untouched / "checkpoint-2").iterdir():
        load_file(path) if path.suffix == ".safetensors" else json.loads(path.read_text())


@pytest.mark.parametrize(
    "name",
    [
        "custom_checkpoint_0.pkl",  # the first four are those that accelerate reads
        "optimizer.bin",
        "scheduler.bin",
        "random_states_0.pkl",
        "scaler.pt",
        "state.json",
        "random_0.json",
        "edge_generator.safetensors",
        "generator_adam.safetensors",
        "ema.safetensors",
    ],
)
@pytest.mark.parametrize("save", [pickle.dump, torch.save])
def test_no_pickle_runs_whatever_its_name(data, checkpoint, tmp_path, name, save):
    marker = tmp_path / "marker"
    with (checkpoint / name).open("wb") as file:
        save({"state": TouchOnLoad(marker)}, file)
    hash_again(checkpoint)
    with pytest.raises(ValueError, match=f"checkpoint-2.*{name}"):
        resume(data, checkpoint.parent, str(checkpoint))
    assert not marker.exists()
    pickle.loads(pickle.dumps(TouchOnLoad(marker)))
    assert marker.exists()  # had it been read


def test_a_planted_pickle_ends_the_program_with_one_line(data, checkpoint, tmp_path, monkeypatch):
    (checkpoint / "custom_checkpoint_0.pkl").write_bytes(pickle.dumps(TouchOnLoad(tmp_path / "marker")))
    hash_again(checkpoint)
    settings = {"train_data_dir": data / "pictures", "output_dir": checkpoint.parent, "resolution": 32}
    settings |= {"base_channels": 4, "num_residual_blocks": 1, "max_train_steps": 6, "use_ema": True}
    settings |= {"edge_loss_weights": '{"adversarial": 0, "feature_matching": 0, "cross_entropy": 1}'}
    arguments = [f"--{name}={value}" for name, value in {**settings, "resume_from_checkpoint": "latest"}.items()]
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    with pytest.raises(SystemExit) as end:
        train.main()
    assert str(end.value).startswith("ValueError: ")
    assert "custom_checkpoint_0.pkl" in str(end.value)
    assert "\n" not in str(end.value)
    assert not (tmp_path / "marker").exists()


def test_a_checkpoint_of_the_earlier_version_is_refused_with_a_way_out(data, checkpoint):
    for name in ("state.json", "random_0.json", "generator_adam.safetensors", "ema.safetensors"):
        (checkpoint / name).unlink()
    for name in ("custom_checkpoint_0.pkl", "custom_checkpoint_1.pkl", "optimizer.bin", "random_states_0.pkl"):
        torch.save({}, checkpoint / name)
    hash_again(checkpoint)
    before = everything(checkpoint.parent)
    with pytest.raises(ValueError, match=r"of an earlier version.*`--pretrained_model_name_or_path`.* `output_dir`"):
        resume(data, checkpoint.parent)
    assert everything(checkpoint.parent) == before


HOSTILE_JSON = {
    "list": b"[]",
    "number": b"7",
    "null": b"null",
    "text": b'"text"',
    "empty object": b"{}",
    "empty": b"",
    "nested": b'{"a": {"b": {"c": []}}}',
    "bottomless": b"[" * 500_000,
    "bottomless object": b'{"a":' * 100_000,
    "no UTF-8": b"\xff\xfe\x80",
    "no JSON": b"{'a': 1}",
    "endless number": b"1" * 100_000,
}


@pytest.mark.parametrize("name", ["state.json", "random_0.json"])
@pytest.mark.parametrize("content", HOSTILE_JSON.values(), ids=HOSTILE_JSON.keys())
def test_json_of_any_content_is_one_sentence(data, checkpoint, name, content):
    (checkpoint / name).write_bytes(content)
    hash_again(checkpoint)
    with pytest.raises(ValueError, match=f"checkpoint-2/{name}"):
        resume(data, checkpoint.parent)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("global_step", 1),  # not that of the folder
        ("global_step", "2"),
        ("global_step", 2.0),
        ("samples", -1),
        ("samples", True),
        ("samples", 10**30),
        ("samples", None),
        ("minutes", float("nan")),
        ("minutes", float("inf")),
        ("minutes", -1.0),
        ("minutes", "0"),
        ("logged", []),
        ("logged", {"l1": "0"}),
        ("logged", {"| <img src=x> |": 0.5}),  # would stand in the card
        ("scaler", {}),
        ("scaler", {"scale": float("nan"), "_growth_tracker": 0}),
        ("scaler", {"scale": 1.0, "_growth_tracker": "0"}),
        ("scaler", [1.0]),
        ("__class__", "Trainer"),
    ],
)
def test_progress_of_another_kind_is_refused(data, checkpoint, name, value):
    path = checkpoint / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    hash_again(checkpoint)
    with pytest.raises(ValueError, match=rf"checkpoint-2/state.json.*{name}|checkpoint-2/state.json.* no others"):
        resume(data, checkpoint.parent)


def beyond_the_words(state):
    """NumPy's next word lies outside of its 624; it reads there if it is let."""
    state["numpy"][2] = 10**6


def beyond_the_words_of_torch(state):
    raw = bytearray(base64.b64decode(state["torch"]))
    struct.pack_into("<QiiQ", raw, 0, 0, 624, 1, 624)  # 624 words left, of which the first is the last
    state["torch"] = base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    "damage",
    [
        beyond_the_words,
        beyond_the_words_of_torch,
        lambda state: state["numpy"].__setitem__(2, -1),
        lambda state: state["numpy"].__setitem__(1, [0] * 623),
        lambda state: state["numpy"].__setitem__(1, [-1] * 624),
        lambda state: state["numpy"].__setitem__(0, "PCG64"),
        lambda state: state["python"].__setitem__(1, [2**40] * 625),
        lambda state: state["python"].__setitem__(2, {"a": 1}),
        lambda state: state["python"].pop(),
        lambda state: state.update(torch="AAAA"),
        lambda state: state.update(torch="not base64"),
        lambda state: state.update(torch=5),
        lambda state: state.pop("python"),
    ],
)
def test_random_states_of_another_kind_are_refused(data, checkpoint, damage):
    path = checkpoint / "random_0.json"
    state = json.loads(path.read_text())
    damage(state)
    path.write_text(json.dumps(state))
    hash_again(checkpoint)
    with pytest.raises(ValueError, match=r"checkpoint-2/random_0\.json"):
        resume(data, checkpoint.parent)


def change(change_tensors):
    def changed(path: Path) -> None:
        tensors = load_file(path)
        change_tensors(tensors, next(name for name in sorted(tensors) if tensors[name].ndim))
        save_file(tensors, path)

    return changed


@pytest.mark.parametrize("name", ["edge_generator", "generator_adam", "ema"])
@pytest.mark.parametrize(
    "damage",
    [
        change(lambda tensors, first: tensors.update({first: torch.zeros(2, 3)})),
        change(lambda tensors, first: tensors.update({first: tensors[first].half()})),
        change(lambda tensors, first: tensors.update({first: tensors[first].long()})),
        change(lambda tensors, first: tensors.update({first: tensors[first] / 0})),
        change(lambda tensors, first: tensors.pop(first)),
        change(lambda tensors, first: tensors.update({"more": torch.zeros(1)})),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        lambda path: path.write_bytes(struct.pack("<Q", 2**63) + path.read_bytes()[8:]),  # a header without end
        lambda path: path.write_bytes(struct.pack("<Q", 2) + b"{}"),
        lambda path: path.write_bytes(struct.pack("<Q", 200_000) + b"[" * 200_000),
    ],
)
def test_tensors_of_another_kind_are_refused(data, checkpoint, name, damage):
    damage(checkpoint / f"{name}.safetensors")
    hash_again(checkpoint)
    with pytest.raises(ValueError, match=f"checkpoint-2/{name}.safetensors"):
        resume(data, checkpoint.parent)


@pytest.mark.parametrize("name", ["state.json", "ema.safetensors", "files.json"])
def test_links_and_pipes_are_not_followed(data, checkpoint, tmp_path, name):
    """Of the same content, so that only the kind of the file tells."""
    path = (checkpoint / name).rename(tmp_path / "elsewhere")
    (checkpoint / name).symlink_to(path)
    assert not is_whole(checkpoint)
    with pytest.raises(ValueError, match="expected 'latest' or a whole folder"):
        resume(data, checkpoint.parent, str(checkpoint))
    (checkpoint / name).unlink()
    os.mkfifo(checkpoint / name)  # to open it would wait for ever
    assert not is_whole(checkpoint)


@pytest.mark.parametrize(
    "content",
    [
        *HOSTILE_JSON.values(),
        b'{"state.json": 5}',
        b'{"state.json": null}',
        b'{"state.json": ["a"]}',
        b'{"": "a"}',
        b'{".": "a"}',
        b'{"state.json\\u0000": "a"}',
        b'{"\\ud800": "a"}',
        b'{"' + b"a" * 5000 + b'": "a"}',
        b'{"a": "' + b"a" * 2**20 + b'"}',  # larger than any of ours
    ],
)
def test_a_list_of_files_of_any_content_is_torn_and_nothing_is_deleted(data, output_dir, content):
    for checkpoint in find_checkpoints(output_dir):
        (checkpoint / "files.json").write_bytes(content)
        assert not is_whole(checkpoint)
    (output_dir / ".checkpoint-7.partial").mkdir()
    before = everything(output_dir)
    with pytest.raises(ValueError, match="all checkpoints in .* are torn: checkpoint-1, checkpoint-2"):
        resume(data, output_dir)
    assert everything(output_dir) == before


@pytest.mark.parametrize("name", ["../outside", "{outside}", "inner/../../outside", "link/outside"])
def test_a_list_names_nothing_outside_its_folder(checkpoint, name):
    outside = checkpoint.parent / "outside"
    outside.write_text("of somebody else")
    (checkpoint / "inner").mkdir()
    (checkpoint / "link").symlink_to(checkpoint.parent)
    hashes = json.loads((checkpoint / "files.json").read_text())
    assert is_whole(checkpoint)
    hashes[name.format(outside=outside)] = digest(outside)  # right, if it were read
    (checkpoint / "files.json").write_text(json.dumps(hashes))
    assert not is_whole(checkpoint)


def test_when_all_are_torn_the_program_ends_with_status_1_and_deletes_nothing(data, output_dir, monkeypatch):
    for checkpoint in find_checkpoints(output_dir):
        (checkpoint / "edge_generator.safetensors").unlink()
    before = everything(output_dir)
    arguments = {"train_data_dir": data / "pictures", "output_dir": output_dir, "max_train_steps": 6}
    arguments |= {"resume_from_checkpoint": "latest", "checkpoints_total_limit": 1, "resolution": 32}
    monkeypatch.setattr(sys, "argv", ["train.py", *(f"--{name}={value}" for name, value in arguments.items())])
    with pytest.raises(SystemExit, match="^ValueError: .* all checkpoints in .* are torn: checkpoint-1, checkpoint-2"):
        train.main()
    assert everything(output_dir) == before


def test_a_whole_checkpoint_is_not_removed_for_a_torn_one(tmp_path):
    for step in (1, 2, 3, 4):
        partial_folder(tmp_path, step).mkdir()
        (partial_folder(tmp_path, step) / "state.json").write_text("{}")
        seal(tmp_path, step)
    (tmp_path / "checkpoint-3" / "state.json").unlink()
    remove_old(tmp_path, step=4, limit=2)
    assert [path.name for path in find_checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-3", "checkpoint-4"]
    shutil.rmtree(tmp_path / "checkpoint-4")
    assert find_latest(tmp_path) == tmp_path / "checkpoint-2"


@pytest.mark.parametrize("name", ["checkpoint-1", "checkpoint-9"])
def test_what_is_only_called_a_checkpoint_is_named_and_left_alone(data, output_dir, tmp_path, name):
    shutil.rmtree(output_dir / name, ignore_errors=True)
    elsewhere = shutil.copytree(output_dir / "checkpoint-2", tmp_path / "elsewhere")
    (output_dir / name).symlink_to(elsewhere)
    for wanted in ("latest", str(output_dir / "checkpoint-2"), None):
        with pytest.raises(ValueError, match=rf"holds \['{name}'\], which must be folders"):
            resume(data, output_dir, wanted)
    remove_old(output_dir, step=9, limit=1)
    assert is_whole(elsewhere)
    (output_dir / name).unlink()
    (output_dir / name).write_text("somebody's own")
    with pytest.raises(ValueError, match=rf"holds \['{name}'\], which must be folders"):
        resume(data, output_dir)
    assert (output_dir / name).read_text() == "somebody's own"


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "photo.jpg").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".checkpoint-3.partial").symlink_to(elsewhere)
    folders.remove_partial(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []
    partial_folder(tmp_path / "run", 3).mkdir()
    (partial_folder(tmp_path / "run", 3) / "state.json").write_text("{}")
    (tmp_path / "run" / "checkpoint-3").symlink_to(elsewhere)
    assert is_whole(seal(tmp_path / "run", 3))
    assert (elsewhere / "photo.jpg").exists()


def test_the_folder_must_be_called_a_checkpoint(data, checkpoint):
    renamed = checkpoint.rename(checkpoint.with_name("backup"))
    with pytest.raises(ValueError, match="`resume_from_checkpoint` is .*backup', expected .* folder `checkpoint-N`"):
        resume(data, renamed.parent, str(renamed))


def test_a_checkpoint_that_nobody_touched_is_taken(data, output_dir, caplog):
    caplog.set_level(logging.INFO, logger="training.trainer")
    (output_dir / "checkpoint-2" / ".DS_Store").touch()  # of no list, never read
    assert resume(data, output_dir).progress.global_step == 2
    assert f"Continuing from {output_dir / 'checkpoint-2'}." in caplog.text
