"""Where the rows come from: the Hub, a folder of images, parquet files; undecoded, with the columns that are used."""

import glob
import logging
from pathlib import Path
from typing import TypeAlias

import datasets

from training.config import DataConfig

Rows: TypeAlias = datasets.Dataset | datasets.IterableDataset

logger = logging.getLogger(__name__)

_VALIDATION_SPLITS = ("validation", "test")


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
    except (OSError, ValueError) as error:
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
    """The rows of a local folder, undecoded, with the columns that `config` names.

    Raises:
        ValueError: the folder does not exist, is empty, or lacks the split or a column; the message names `argument`.
    """
    return _with_columns(_read_folder(argument, folder, split, config.streaming), config, f"`{argument}` {folder!r}")


def _read_folder(argument: str, folder: str, split: str, streaming: bool) -> Rows:
    """Images (with `metadata.csv` or `.jsonl`, if there is one) or parquet files of `folder/split` or of `folder`.

    `folder` itself is read only if it has no other split, which would mix training and validation data. Of parquet
    files, those named `split-...parquet` are read, or all if there are none. Image names do not choose a split;
    `load_dataset` alone would take `my_test.jpg` for the test split and load nothing else.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"`{argument}` {folder!r} is not a folder.")
    splits, usual = _splits_of(folder), ("train", *_VALIDATION_SPLITS)
    if split not in splits and (split not in usual or not splits.isdisjoint(usual)):
        present = ", ".join(sorted(splits.intersection(usual))) or "none"
        raise ValueError(f"`{argument}` {folder!r} has no split {split!r}; it has {present}.")
    root = Path(folder) / split if (Path(folder) / split).is_dir() else Path(folder)
    try:
        if parquet := sorted(root.rglob("*.parquet")):
            of_split = [path for path in parquet if _split_of(path) == split]
            files = [glob.escape(str(path)) for path in of_split or parquet]
            return datasets.load_dataset("parquet", data_files=files, split="train", streaming=streaming)
        everything = glob.escape(str(root)) + "/**"
        return datasets.load_dataset(
            "imagefolder", data_files=everything, split="train", streaming=streaming, drop_labels=True
        )
    except (OSError, ValueError) as error:
        raise ValueError(f"`{argument}` {str(root)!r} holds no images or parquet files to load: {error}") from error


def _splits_of(folder: str) -> set[str]:
    """Candidates for splits: the names of the subfolders, and the prefixes of the parquet files."""
    folders = {path.name for path in Path(folder).iterdir() if path.is_dir()}
    return folders | {_split_of(path) for path in Path(folder).rglob("*.parquet")}


def _split_of(parquet: Path) -> str:
    return parquet.stem.split("-")[0]  # train-00000-of-00001.parquet, as on the Hub


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
