"""What is missing or broken ends a training in one sentence, before a folder is made."""

import errno
import os
import shutil

import pytest
from training_runs import draw_pictures, draw_vgg, run, tiny_settings

from training import train
from training.checkpoints import state
from training.checkpoints.folders import find_checkpoints, is_whole


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    draw_pictures(folder / "pictures")
    draw_vgg(folder / "vgg.safetensors")
    run(folder, folder / "finished", max_train_steps=1, report_to="none")
    return folder


@pytest.fixture
def fail(data, tmp_path, monkeypatch):
    """Trains from the command line, which must end with one sentence; returns it."""

    def fail(**settings):
        settings = {**tiny_settings(data, tmp_path / "run", report_to="none"), **settings}
        flags = [f"--{name}={value}" for name, value in settings.items() if value is not None]
        monkeypatch.setattr("sys.argv", ["train.py", *flags])
        with pytest.raises(SystemExit) as ended:
            train.main()
        message = ended.value.code
        assert isinstance(message, str)
        assert "\n" not in message
        return message

    return fail


def scripted(folder):
    (folder / "scripted").mkdir()
    (folder / "scripted" / "scripted.py").write_text("import datasets\n")
    return {"train_data_dir": None, "dataset_name": str(folder / "scripted")}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_data_dir": "/nowhere"}, "`train_data_dir` '/nowhere' is not a folder."),
        ({"validation_data_dir": "/nowhere"}, "`validation_data_dir` '/nowhere' is not a folder."),
        ({"mask_dataset": "/nowhere", "mask_external": 1}, "`mask_dataset` '/nowhere' is not a folder."),
        ({"mask_column": "gone"}, "`mask_column` is 'gone', expected a column of `train_data_dir`"),
        (
            {"stage": "completion", "vgg_weights": "/nowhere.safetensors"},
            "`vgg_weights` is '/nowhere.safetensors', but",
        ),
        (scripted, "cannot be loaded: Dataset scripts are no longer supported"),
    ],
    ids=["photos", "validation", "masks", "column", "vgg", "script"],
)
def test_what_is_missing_is_said_before_a_folder_is_made(fail, tmp_path, settings, message):
    assert message in fail(**(settings(tmp_path) if callable(settings) else settings))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fault", ["weights", "weights gone", "config", "index", "no index", "another pipeline"])
def test_a_broken_model_to_start_from_is_named(fail, data, tmp_path, fault):
    model = shutil.copytree(data / "finished", tmp_path / "model")
    weights = next((model / "edge_generator").glob("*.safetensors"))
    if fault == "weights":
        weights.write_bytes(weights.read_bytes()[:2000])
    elif fault == "weights gone":
        weights.unlink()
    elif fault == "no index":
        (model / "model_index.json").unlink()
    elif fault == "another pipeline":
        (model / "model_index.json").write_text('{"_class_name": "EdgeConnectPipeline"}')
    else:
        file = {"config": "edge_generator/config.json", "index": "model_index.json"}[fault]
        (model / file).write_text("{")
    message = fail(pretrained_model_name_or_path=model)
    assert f"`pretrained_model_name_or_path` is {str(model)!r}, which " in message
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_stage_is_refused_and_stays(fail, data, tmp_path):
    shutil.copytree(data / "finished", tmp_path / "run")
    message = fail(stage="completion", resume_from_checkpoint="latest")
    assert "checkpoint-1' is of a run of another `stage`" in message
    assert message.endswith("It stays as it is.")
    assert is_whole(tmp_path / "run" / "checkpoint-1")


def test_a_full_disk_leaves_the_checkpoint_before(fail, tmp_path, monkeypatch):
    write = state.write_tensors

    def fill(path, tensors):
        if "checkpoint-2" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, tensors)

    monkeypatch.setattr(state, "write_tensors", fill)
    message = fail(checkpointing_steps=1, validation_steps=100)
    assert message.startswith("OSError: [Errno 28] No space left on device: ")
    assert message.endswith(
        f"{tmp_path / 'run' / 'checkpoint-1'} is whole: continue from it with `--resume_from_checkpoint latest`."
    )
    assert find_checkpoints(tmp_path / "run") == [tmp_path / "run" / "checkpoint-1"]


def test_a_folder_that_cannot_be_written_is_named(fail, tmp_path):
    (tmp_path / "file").write_text("")
    message = fail(output_dir=tmp_path / "file" / "run")
    assert message.startswith("NotADirectoryError: [Errno 20] Not a directory: ")
    assert message.endswith(". No checkpoint has been written yet.")
