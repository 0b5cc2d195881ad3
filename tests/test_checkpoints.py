"""Checkpoint folders: whole or skipped."""

import logging

import pytest

from training.checkpoints.folders import (
    checkpoint_step,
    find_checkpoints,
    find_latest,
    is_whole,
    partial_folder,
    remove_old,
    remove_partial,
    seal,
)


def write(output_dir, step, text="weights"):
    folder = partial_folder(output_dir, step)
    (folder / "inner").mkdir(parents=True)
    (folder / "model").write_text(text)
    (folder / "inner" / "random").write_text("42")
    return seal(output_dir, step)


def test_a_sealed_folder_is_whole_and_the_partial_one_gone(tmp_path):
    checkpoint = write(tmp_path, 7)
    assert checkpoint == tmp_path / "checkpoint-7"
    assert is_whole(checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-7"]


@pytest.mark.parametrize("damage", ["truncate", "change", "remove", "unseal", "empty seal"])
def test_any_damage_is_seen_and_the_one_before_taken(tmp_path, damage, caplog):
    before, torn = write(tmp_path, 9), write(tmp_path, 10)  # in the order of numbers, not of names
    if damage == "truncate":
        (torn / "model").write_text("weigh")
    elif damage == "change":
        (torn / "model").write_text("weighty"[:7])
    elif damage == "remove":
        (torn / "inner" / "random").unlink()
    elif damage == "unseal":
        (torn / "files.json").unlink()
    else:
        (torn / "files.json").write_text("")
    with caplog.at_level(logging.WARNING):
        assert find_latest(tmp_path) == before
    assert [record.getMessage() for record in caplog.records] == [
        f"{torn} is torn (files are missing or changed): skipped."
    ]


def test_a_torn_folder_is_written_over(tmp_path):
    (write(tmp_path, 3) / "model").unlink()
    assert is_whole(write(tmp_path, 3, "new"))
    assert (tmp_path / "checkpoint-3" / "model").read_text() == "new"


def test_a_partial_folder_is_no_checkpoint_and_is_removed(tmp_path):
    partial_folder(tmp_path, 5).mkdir()
    assert find_checkpoints(tmp_path) == []
    assert find_latest(tmp_path) is None
    remove_partial(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_newest_are_kept(tmp_path):
    for step in (8, 9, 10, 11, 99):
        write(tmp_path, step)
    (tmp_path / "checkpoint-best").mkdir()  # somebody's own
    remove_old(tmp_path, step=11, limit=2)  # 99 is of a run that was turned back
    assert [checkpoint_step(path) for path in find_checkpoints(tmp_path)] == [10, 11, 99]
    assert (tmp_path / "checkpoint-best").exists()
