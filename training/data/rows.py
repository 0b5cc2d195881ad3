"""Where the rows come from: the Hub, a folder of images, parquet files; undecoded, with the columns that are used."""

import glob
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import datasets

from training.config import DataConfig
from training.data.folders import describe, list_files, read_images, say_once

Rows: TypeAlias = datasets.Dataset | datasets.IterableDataset

logger = logging.getLogger(__name__)

_VALIDATION_SPLITS = ("validation", "test")
_MOST_SHARDS = 64  # of a folder that is streamed: enough to divide and to shuffle


def load_rows(config: DataConfig, split: str) -> Rows:
    """The rows of `dataset_name` or `train_data_dir`, undecoded, with the used columns.

    Raises:
        ValueError: the data set or folder does not exist, is empty, or lacks a column.
    """
    if config.train_data_dir is not None:
        return load_folder("train_data_dir", config.train_data_dir, split, config)
    try:
        rows = datasets.load_dataset(
            config.dataset_name, config.dataset_config_name, split=split, streaming=config.streaming
        )
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: it is a script, which `datasets` does not run
        raise ValueError(
            f"`dataset_name` {config.dataset_name!r}, split {split!r}, cannot be loaded: {error}"
        ) from error
    return _with_columns(rows, config, f"`dataset_name` {config.dataset_name!r}")


def load_validation_rows(config: DataConfig) -> Rows:
    """The rows of `validation_data_dir`, otherwise of a validation or test split, otherwise of the training data."""
    if config.validation_data_dir is not None:
        return load_folder("validation_data_dir", config.validation_data_dir, "validation", config)
    if config.train_data_dir is not None:
        names = _splits_of(config.train_data_dir)
    else:
        names = datasets.get_dataset_split_names(config.dataset_name, config.dataset_config_name)
    for split in _VALIDATION_SPLITS:
        if split in names and split != config.split:
            return load_rows(config, split)
    logger.warning("No `validation_data_dir` and no validation split: validating on images of the training data.")
    return load_rows(config, config.split)


def load_folder(argument: str, folder: str, split: str, config: DataConfig) -> Rows:
    """The rows of a local folder, undecoded, with the columns that `config` names. What is left out is said.

    Raises:
        ValueError: the folder does not exist, is empty, or lacks the split or a column; the message names `argument`.
    """
    source = f"`{argument}` {folder!r}"
    return _with_columns(_read_folder(source, Path(folder), split, config), config, source)


def _read_folder(source: str, folder: Path, split: str, config: DataConfig) -> Rows:
    """Images (with `metadata.csv` or `.jsonl`, if there is one) or parquet files of `folder/split` or of `folder`.

    `folder` itself is read only if it has no other split, which would mix training and validation data. Of parquet
    files, those named `split-...parquet` are read, or all if there are none. Image names do not choose a split.
    """
    if not folder.is_dir():
        raise ValueError(f"{source} is not a folder.")
    files: Sequence[str] = list_files(folder)
    splits, usual = _splits_of(folder), ("train", *_VALIDATION_SPLITS)
    if split not in splits and (split not in usual or not splits.isdisjoint(usual)):
        present = ", ".join(sorted(splits.intersection(usual))) or "none"
        raise ValueError(f"{source} has no split {split!r}; it has {present}.")
    if (folder / split).is_dir():
        if beside := [file for file in files if file.partition("/")[0] not in (split, *usual)]:
            say_once(f"{source}: left out beside its folder {split!r}: {describe(beside)}.")
        files = [file.removeprefix(f"{split}/") for file in files if file.startswith(f"{split}/")]
        folder = folder / split
    if parquet := _parquet(files):
        if others := [file for file in files if not file.endswith(".parquet")]:
            say_once(f"{source}: left out beside its parquet files: {describe(others)}.")
        of_split = [file for file in parquet if _split_of(file) == split]
        paths = [glob.escape(str(folder / file)) for file in of_split or parquet]
        try:
            return datasets.load_dataset("parquet", data_files=paths, split="train", streaming=config.streaming)
        except (OSError, ValueError) as error:
            raise ValueError(f"{source} holds parquet files that cannot be loaded: {error}") from error
    used = [column for column in (config.image_column, config.mask_column, config.edge_column) if column is not None]
    rows = datasets.Dataset.from_dict(dict(read_images(source, folder, files, used)))
    return rows.to_iterable_dataset(min(len(rows), _MOST_SHARDS)) if config.streaming else rows


def _parquet(files: Sequence[str]) -> list[str]:
    return [file for file in files if file.endswith(".parquet")]


def _splits_of(folder: str | Path) -> set[str]:
    """Candidates for splits: the names of the subfolders, and the prefixes of the parquet files."""
    with os.scandir(folder) as entries:
        subfolders = {entry.name for entry in entries if entry.is_dir()}
    return subfolders | {_split_of(file) for file in _parquet(list_files(folder))}


def _split_of(parquet: str) -> str:
    return parquet.rpartition("/")[2].removesuffix(".parquet").split("-")[0]  # train-00000-of-00001, as on the Hub


def _with_columns(rows: Rows, config: DataConfig, source: str) -> Rows:
    """`rows`, undecoded, with only the columns that `config` names."""
    present = rows.column_names or list(next(iter(rows), {}))
    wanted = {"image_column": config.image_column, "mask_column": config.mask_column, "edge_column": config.edge_column}
    used = {argument: column for argument, column in wanted.items() if column is not None}
    for argument, column in used.items():
        if column not in present:
            raise ValueError(f"`{argument}` is {column!r}, expected a column of {source}: one of {present}.")
    if isinstance(rows, datasets.IterableDataset) and rows.features is not None:
        rows = rows.decode(False)  # must come first: it undoes a stream's threaded decoding
    rows = rows.select_columns(list(used.values()))
    for column in used.values():
        if rows.features is not None:  # None for some streamed formats, which are undecoded anyway
            rows = rows.cast_column(column, datasets.Image(decode=False))
    if next(iter(rows), None) is None:
        raise ValueError(f"{source} holds no rows.")
    return rows
