import io
import itertools
import json
import logging
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import datasets
import huggingface_hub
import numpy as np
import pytest
import torch
from fake_hub import FakeHub
from PIL import Image
from training_runs import finish, start

from training.config import TrainingConfig
from training.data.loader import make_train_loader, make_validation_batches

SIZE = 24

# Tests use two workers on whatever machine they run; on one with a single core torch has something to say to that.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """`datasets` prepares its tables here, and not in the user's cache."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    # A second's wait at the end of each streamed epoch, for its reading threads. Epochs of ten rows have many ends.
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0, raising=False)


def make_config(folder, **settings):
    defaults = {"resolution": SIZE, "train_batch_size": 4, "max_train_steps": 1, "random_flip": False}
    return TrainingConfig(train_data_dir=str(folder), **(defaults | settings))


def write_pictures(folder, count, name="{:03}.png"):
    """Pictures of one colour each, by which `numbers` knows them again."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (20, 24), (number, 255 - number, 0)).save(folder / name.format(number))
    return folder


def numbers(batch):
    return [round(value) for value in (batch["image"][:, 0, 0, 0] * 255).tolist()]


def take(loader, count):
    return list(itertools.islice(loader, count))


def assert_equal_batches(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        assert all(torch.equal(batch[name], other[name]) for name in batch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures"), 10)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory, folder):
    """The same pictures, in four shards."""
    target = tmp_path_factory.mktemp("parquet")
    rows = datasets.Dataset.from_dict(
        {"photo": [{"bytes": path.read_bytes(), "path": None} for path in sorted(folder.iterdir())], "id": range(10)},
        features=datasets.Features({"photo": datasets.Image(), "id": datasets.Value("int64")}),
    )
    for index in range(4):
        rows.shard(4, index).to_parquet(target / f"train-{index:05}-of-00004.parquet")
    return target


# The global order.


def test_batches_are_as_agreed(folder):
    batch = next(iter(make_train_loader(make_config(folder, hint_probability=1.0), 1, 0, 0)))
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == {
        "image": (4, 3, SIZE, SIZE),
        "gray": (4, 1, SIZE, SIZE),
        "edges": (4, 1, SIZE, SIZE),
        "known_edges": (4, 1, SIZE, SIZE),
        "mask": (4, 1, SIZE, SIZE),
        "hints": (4, 1, SIZE, SIZE),
        "from_true_edges": (4, 1, 1, 1),
    }
    for tensor in batch.values():
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous()
        assert tensor.min() >= 0
        assert tensor.max() <= 1
    green = torch.tensor([255 - number for number in numbers(batch)], dtype=torch.uint8)
    assert torch.equal(batch["image"][:, 1, 0, 0], green / 255)  # to the bit


def test_batches_are_put_where_they_are_wanted(folder):
    batch = next(iter(make_train_loader(make_config(folder), 1, 0, 0, device="meta")))
    assert {tensor.device.type for tensor in batch.values()} == {"meta"}
    assert {tensor.dtype for tensor in batch.values()} == {torch.float32}


def test_each_epoch_shows_every_row_once_and_in_another_order(folder):
    batches = take(make_train_loader(make_config(folder, train_batch_size=5), 1, 0, 0), 6)
    seen = [number for batch in batches for number in numbers(batch)]
    epochs = [tuple(seen[start : start + 10]) for start in (0, 10, 20)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len(set(epochs)) == 3


def test_the_seed_decides(folder):
    config = make_config(folder)
    first, same = (take(make_train_loader(config, 1, 0, 0), 3) for _ in range(2))
    assert_equal_batches(first, same)
    other = take(make_train_loader(replace(config, seed=43), 1, 0, 0), 3)
    assert [numbers(batch) for batch in first] != [numbers(batch) for batch in other]
    assert not torch.equal(first[0]["mask"], other[0]["mask"])


@pytest.mark.parametrize(("workers", "streaming"), [(1, False), (2, False), (1, True)])
def test_the_number_of_workers_changes_nothing(parquet, workers, streaming):
    config = make_config(parquet, image_column="photo", streaming=streaming, random_flip=True)
    alone = take(make_train_loader(config, 1, 0, 0), 7)
    helped = take(make_train_loader(replace(config, dataloader_num_workers=workers), 1, 0, 0), 7)
    assert_equal_batches(alone, helped)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_resumed_run_goes_on_with_the_same_batches(parquet, processes, streaming):
    config = make_config(parquet, image_column="photo", streaming=streaming)
    for process_index in range(processes):
        whole = take(make_train_loader(config, processes, process_index, 0), 7)  # well into later epochs
        for seen in (1, 2, 5):
            resumed = take(make_train_loader(config, processes, process_index, 4 * processes * seen), 7 - seen)
            assert_equal_batches(whole[seen:], resumed)


def test_processes_share_out_the_global_batches_of_one(folder):
    config = make_config(folder, train_batch_size=6)
    whole = take(make_train_loader(config, 1, 0, 12), 4)
    parts = [take(make_train_loader(replace(config, train_batch_size=2), 3, index, 12), 4) for index in range(3)]
    joined = [{name: torch.cat([part[name] for part in step]) for name in step[0]} for step in zip(*parts, strict=True)]
    assert_equal_batches(whole, joined)


def test_the_global_random_state_is_left_alone(folder):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    take(make_train_loader(make_config(folder, dataloader_num_workers=1), 1, 0, 0), 2)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Windows has no process groups")
def test_a_signal_to_all_processes_of_a_run_leaves_its_workers_alive(folder, tmp_path):
    """In a session of its own: the loader's process takes SIGTERM as the trainer does, and still gets its batches."""
    program = f"""
import os, signal
from training.config import TrainingConfig
from training.data.loader import make_train_loader

caught = []
signal.signal(signal.SIGTERM, lambda number, frame: caught.append(number))
config = TrainingConfig(train_data_dir={str(folder)!r}, resolution=24, max_train_steps=1, dataloader_num_workers=2)
batches = iter(make_train_loader(config, 1, 0, 0))
next(batches), next(batches)  # one of each worker: both have started
os.killpg(0, signal.SIGTERM)
for _ in range(10):
    next(batches)
assert caught == [signal.SIGTERM]
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, start_new_session=True, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


# Streaming.


# Four shards with 3, 3, 2 and 2 rows: two processes take two shards each, three share out the rows.
@pytest.mark.parametrize("lengths", [[10], [5, 5], [4, 3, 3]])
def test_a_stream_is_shared_out_and_shows_every_row_once_an_epoch(parquet, lengths):
    config = make_config(parquet, image_column="photo", streaming=True, train_batch_size=1)
    epochs = [[], []]
    for process_index, length in enumerate(lengths):
        batches = take(make_train_loader(config, len(lengths), process_index, 0), 2 * length)
        seen = [number for batch in batches for number in numbers(batch)]
        epochs[0] += seen[:length]
        epochs[1] += seen[length:]
    assert all(sorted(seen) == list(range(10)) for seen in epochs)
    assert epochs[0] != epochs[1]


def test_a_stream_with_nothing_for_a_process_is_refused(tmp_path):
    config = make_config(write_pictures(tmp_path / "one", 1), streaming=True)
    with pytest.raises(ValueError, match="has no rows for this process"):
        take(make_train_loader(config, 2, 1, 0), 1)


# Where rows come from.


def test_folders_are_read_whatever_their_pictures_are_called(tmp_path):
    folder = write_pictures(tmp_path / "my [best] photos" / "deeper", 3, "my_test_{}.png")
    write_pictures(folder.parent, 1, "train_9.JPEG")
    (folder.parent / "notes.txt").write_text("no picture")
    batches = take(make_train_loader(make_config(folder.parent, train_batch_size=1), 1, 0, 0), 4)
    assert sorted(number for batch in batches for number in numbers(batch)) == [0, 0, 1, 2]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_folder_with_splits_gives_the_split(tmp_path, streaming):
    write_pictures(tmp_path / "data" / "train", 3)
    write_pictures(tmp_path / "data" / "validation", 1, "9.png")
    Image.new("RGB", (20, 20), (200, 0, 0)).save(tmp_path / "data" / "validation" / "9.png")
    config = make_config(tmp_path / "data", train_batch_size=3, streaming=streaming)
    batches = take(make_train_loader(config, 1, 0, 0), 2)
    assert [sorted(numbers(batch)) for batch in batches] == [[0, 1, 2]] * 2
    assert [numbers(batch) for batch in make_validation_batches(config)[0]] == [[200]]


@pytest.mark.parametrize("streaming", [False, True])
def test_masks_and_edges_come_by_column(tmp_path, streaming):
    folder = write_pictures(tmp_path / "data", 3)
    lines = []
    for number in range(3):
        Image.new("L", (20, 24), 255).save(tmp_path / "data" / f"hole_{number}.png")
        Image.new("L", (20, 24), number).save(tmp_path / "data" / f"lines_{number}.png")
        files = {"": f"{number:03}.png", "hole_": f"hole_{number}.png", "lines_": f"lines_{number}.png"}
        lines.append(json.dumps({f"{kind}file_name": name for kind, name in files.items()}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    config = make_config(
        folder, train_batch_size=3, mask_column="hole", edge_column="lines", streaming=streaming, random_flip=True
    )
    batch = next(iter(make_train_loader(config, 1, 0, 0)))
    assert sorted(numbers(batch)) == [0, 1, 2]
    assert (batch["mask"] == 1).all()
    assert torch.equal(batch["edges"], batch["image"][:, :1])


@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_by_name(parquet, streaming):
    config = make_config(parquet, image_column="photo", streaming=streaming, train_batch_size=10)
    by_name = replace(config, train_data_dir=None, dataset_name=str(parquet))
    assert sorted(numbers(next(iter(make_train_loader(by_name, 1, 0, 0))))) == list(range(10))


HUB_PROGRAM = """
import sys
from pathlib import Path

from huggingface_hub import HfApi
from training.config import TrainingConfig
from training.data.loader import make_train_loader, make_validation_batches

if __name__ == "__main__":  # a worker imports this file
    api = HfApi()
    api.create_repo("tester/pictures", repo_type="dataset")
    api.upload_folder(repo_id="tester/pictures", repo_type="dataset", folder_path=sys.argv[1])
    for streaming in (False, True):
        config = TrainingConfig(
            dataset_name="tester/pictures",
            streaming=streaming,
            dataloader_num_workers=int(streaming),
            resolution=24,
            train_batch_size=3,
            max_train_steps=1,
        )
        for batch in (next(iter(make_train_loader(config, 1, 0, 0))), *make_validation_batches(config)[0]):
            print("numbers", sorted(round(value) for value in (batch["image"][:, 0, 0, 0] * 255).tolist()))
    try:
        make_train_loader(TrainingConfig(dataset_name="tester/nothing", max_train_steps=1), 1, 0, 0)
    except ValueError as error:
        print(error)
"""


@pytest.mark.slow
def test_pictures_on_the_hub_are_downloaded_or_streamed(tmp_path):
    write_pictures(tmp_path / "data" / "train", 3)
    write_pictures(tmp_path / "data" / "validation", 2)
    (tmp_path / "program.py").write_text(HUB_PROGRAM)
    with FakeHub() as hub:
        environment = {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": "any",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        output = finish(start([str(tmp_path / "program.py"), str(tmp_path / "data")], tmp_path, **environment))
    assert re.findall("numbers (.*)", output) == ["[0, 1, 2]", "[0, 1]"] * 2
    assert "`dataset_name` 'tester/nothing', split 'train', cannot be loaded" in output


def test_a_missing_column_is_named_with_those_present(parquet):
    with pytest.raises(ValueError, match=r"`image_column` is 'image'.*one of \['photo', 'id'\]"):
        make_train_loader(make_config(parquet), 1, 0, 0)
    for argument in ("mask_column", "edge_column"):
        with pytest.raises(ValueError, match=rf"`{argument}` is 'gone'"):
            make_train_loader(make_config(parquet, image_column="photo", **{argument: "gone"}), 1, 0, 0)


@pytest.mark.parametrize("streaming", [False, True])
def test_folders_without_pictures_are_refused(tmp_path, streaming):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("no picture")
    for name, message in {"empty": "holds no", "text": "holds no", "nowhere": "is not a folder"}.items():
        with pytest.raises(ValueError, match=rf"`train_data_dir` '.*{name}'.* {message}"):
            make_train_loader(make_config(tmp_path / name, streaming=streaming), 1, 0, 0)


@pytest.mark.parametrize("parquet_files", [False, True])
def test_what_is_held_out_is_not_trained_on(folder, parquet, tmp_path, parquet_files):
    photos = tmp_path / "photos"
    if parquet_files:
        photos.mkdir()
        for name in ("data.parquet", "validation-0.parquet"):
            (photos / name).write_bytes(next(parquet.glob("train-00000*")).read_bytes())
    else:
        write_pictures(write_pictures(photos, 3) / "validation", 2)
    with pytest.raises(ValueError, match=r"`train_data_dir` '.*photos' has no split 'train'; it has validation\.$"):
        make_train_loader(make_config(photos, image_column="photo" if parquet_files else "image"), 1, 0, 0)
    write_pictures(tmp_path / "other" / "train", 2)
    with pytest.raises(ValueError, match=r"`validation_data_dir` '.*other' has no split 'validation'; it has train\.$"):
        make_validation_batches(make_config(folder, validation_data_dir=str(tmp_path / "other")))


def test_a_mistyped_split_of_a_folder_is_refused(folder):
    with pytest.raises(ValueError, match=r"has no split 'trian'; it has none\.$"):
        make_train_loader(make_config(folder, split="trian"), 1, 0, 0)


def test_an_unknown_data_set_or_split_is_refused(parquet, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # does not wait for a network
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    config = TrainingConfig(dataset_name="nobody/nothing", max_train_steps=1)
    with pytest.raises(ValueError, match="`dataset_name` 'nobody/nothing', split 'train', cannot be loaded"):
        make_train_loader(config, 1, 0, 0)
    with pytest.raises(ValueError, match="split 'gone', cannot be loaded"):
        make_train_loader(replace(config, dataset_name=str(parquet), split="gone"), 1, 0, 0)


# Unreadable rows.


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A hundred and twenty pictures, of which number 7 is truncated."""
    folder = write_pictures(tmp_path_factory.mktemp("broken"), 120)
    whole = (folder / "007.png").read_bytes()
    (folder / "007.png").write_bytes(whole[:50])
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_row_is_counted_and_skipped(broken, workers, caplog):
    config = make_config(broken, train_batch_size=8, dataloader_num_workers=workers)
    loader = make_train_loader(config, 1, 0, 0)
    with caplog.at_level(logging.WARNING):
        batches = take(loader, 30)  # two epochs
    seen = [number for batch in batches for number in numbers(batch)]
    for epoch in (seen[:120], seen[120:]):
        # The row after it in the epoch's order is shown twice, and if that order ends with it, the first one.
        replacing = [number for number in set(epoch) if epoch.count(number) == 2]
        assert len(replacing) == 1
        assert sorted(epoch) == sorted([*(number for number in range(120) if number != 7), *replacing])
    assert list(loader.unreadable) == [7]
    warnings = [record.getMessage() for record in caplog.records if "unreadable" in record.getMessage()]
    assert len(warnings) == 1
    assert warnings[0] == f"Row 7 is unreadable and skipped: {loader.unreadable[7]}"
    assert loader.unreadable[7].startswith(f"column 'image', {broken / '007.png'}: ")


@pytest.mark.parametrize("workers", [0, 2])
def test_with_an_unreadable_row_a_resume_still_sees_the_same(broken, workers):
    config = make_config(broken, train_batch_size=8, dataloader_num_workers=workers)
    whole = take(make_train_loader(replace(config, dataloader_num_workers=0), 1, 0, 0), 15)
    assert_equal_batches(whole[4:], take(make_train_loader(config, 1, 0, 32), 11))


@pytest.mark.parametrize("workers", [0, 1])
def test_more_than_one_in_a_hundred_unreadable_is_an_error(tmp_path, workers):
    folder = write_pictures(tmp_path / "data", 120)
    for number in (3, 50):
        (folder / f"{number:03}.png").write_bytes(b"no picture")
    loader = make_train_loader(make_config(folder, train_batch_size=8, dataloader_num_workers=workers), 1, 0, 0)
    with pytest.raises(ValueError, match=r"2 of 120 rows are unreadable; up to 1% are skipped"):
        take(loader, 15)


def test_the_count_unites_what_different_workers_met(tmp_path):
    folder = write_pictures(tmp_path / "data", 120)
    config = make_config(folder, train_batch_size=60, dataloader_num_workers=2)
    # Batches of half an epoch: each worker meets one unreadable row, which by itself would pass.
    for batch in take(make_train_loader(replace(config, dataloader_num_workers=0), 1, 0, 0), 2):
        (folder / f"{numbers(batch)[20]:03}.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="2 of 120 rows are unreadable"):
        take(make_train_loader(config, 1, 0, 0), 2)


def stream_with(tmp_path, unreadable, count=250):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20)).save(buffer, "PNG")
    good, bad = {"bytes": buffer.getvalue(), "path": None}, {"bytes": b"no picture", "path": None}
    rows = {"image": [bad if number in unreadable else good for number in range(count)]}
    features = datasets.Features({"image": datasets.Image(decode=False)})
    (tmp_path / "stream").mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "stream" / "train.parquet")
    return make_config(tmp_path / "stream", streaming=True, train_batch_size=10)


def test_an_unreadable_row_of_a_stream_is_counted_and_skipped(tmp_path):
    loader = make_train_loader(stream_with(tmp_path, {40, 200}), 1, 0, 0)
    assert all(len(batch["image"]) == 10 for batch in take(loader, 25))
    assert len(loader.unreadable) == 2
    assert set(loader.unreadable.values()) == {"column 'image': it is not an image of a known format"}


def test_too_many_unreadable_rows_of_a_stream_are_an_error(tmp_path):
    loader = make_train_loader(stream_with(tmp_path, set(range(0, 240, 20))), 1, 0, 0)
    with pytest.raises(ValueError, match=r"11 of \d+ rows are unreadable; up to 1% are skipped"):
        take(loader, 25)
    assert len(loader.unreadable) == 11  # more than 1 % of the first thousand


def test_a_stream_in_which_nothing_can_be_read_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="4 of 4 rows are unreadable"):
        take(make_train_loader(stream_with(tmp_path, set(range(250))), 1, 0, 0), 1)


# Validation.


def test_validation_batches_are_fixed(folder, tmp_path):
    validation = write_pictures(tmp_path / "validation", 7)
    config = make_config(
        folder, validation_data_dir=str(validation), num_validation_images=6, hint_probability=1.0, random_flip=True
    )
    first, second = make_validation_batches(config)[0], make_validation_batches(config)[0]
    assert_equal_batches(first, second)
    assert [len(batch["image"]) for batch in first] == [4, 2]
    assert [numbers(batch) for batch in first] == [[0, 1, 2, 3], [4, 5]]
    assert not any(batch["hints"].any() or batch["from_true_edges"].any() for batch in first)
    assert len(make_validation_batches(replace(config, num_validation_images=50))[0]) == 2  # all seven


def test_validation_pictures_are_spread_over_the_data(folder):
    config = make_config(folder, validation_data_dir=str(folder), num_validation_images=5, train_batch_size=5)
    assert [numbers(batch) for batch in make_validation_batches(config)[0]] == [[0, 2, 4, 6, 8]]


def test_a_validation_folder_may_hold_parquet_of_any_name(folder, parquet, tmp_path):
    (tmp_path / "part.parquet").write_bytes(next(parquet.glob("train-00000*")).read_bytes())
    config = make_config(folder, validation_data_dir=str(tmp_path), image_column="photo")
    assert [numbers(batch) for batch in make_validation_batches(config)[0]] == [[0, 1, 2]]


def test_without_validation_data_the_training_data_serve_with_a_warning(parquet, caplog):
    config = make_config(parquet, image_column="photo", num_validation_images=4)
    by_name = replace(config, train_data_dir=None, dataset_name=str(parquet))
    for source in (config, replace(config, streaming=True), by_name):
        caplog.clear()
        (batch,), names = make_validation_batches(source)
        assert len(batch["image"]) == len(names) == 4
        assert "validating on images of the training data" in caplog.text


@pytest.mark.parametrize("by_name", [False, True])
def test_parquet_files_named_validation_are_held_out(parquet, tmp_path, by_name):
    target = tmp_path / "named"
    target.mkdir()
    for path in sorted(parquet.iterdir()):
        name = path.name if "00003" not in path.name else "validation-00000-of-00001.parquet"
        (target / name).write_bytes(path.read_bytes())
    config = make_config(target, image_column="photo", train_batch_size=10)
    if by_name:
        config = replace(config, train_data_dir=None, dataset_name=str(target))
    held_out = {number for batch in make_validation_batches(config)[0] for number in numbers(batch)}
    assert len(held_out) in (2, 3)
    trained_on = {number for batch in take(make_train_loader(config, 1, 0, 0), 3) for number in numbers(batch)}
    assert trained_on == set(range(10)) - held_out


def test_unreadable_validation_rows_are_skipped(tmp_path, caplog):
    folder = write_pictures(tmp_path / "validation", 6)
    (folder / "002.png").write_bytes(b"no picture")
    config = make_config(folder, validation_data_dir=str(folder), num_validation_images=3)
    batches, names = make_validation_batches(config)
    assert [numbers(batch) for batch in batches] == [[0, 4, 1]]
    assert names == ["000", "004", "001"]
    assert "Row 2 of the validation data is unreadable" in caplog.text
    for path in folder.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="no row of the validation data can be read"):
        make_validation_batches(config)
