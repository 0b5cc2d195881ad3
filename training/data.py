"""Rows of a data set -> batches of what `SampleMaker` makes, in an order that depends on the seed alone.

**Order.** Sample `k` of the endless training stream is a pure function of the seed and `k`: which row it is (each epoch
shuffles all rows anew), its crop, its mirroring, its mask, its hints. The processes of a run share the stream out: of
each global batch, process `r` takes the `r`-th part. So neither the number of workers nor a resume from any sample
changes what is seen, and P processes with a batch of B/P see the same global batches as one with a batch of B.

**Unreadable rows.** If the row of sample `k` cannot be decoded, the sample is made of the next row in that epoch's
order that can. Each unreadable row is named once in a warning and counted in `TrainLoader.unreadable`; when they are
more than 1 % of the data set, a `ValueError` ends the run. The workers send what they could not read along with their
batches, and each process of a run judges by what its own workers met: with the epochs, that is all there is.

**Streaming.** The main process reads the rows, and the workers fetch (where a row holds an address only) and decode
their pictures, so the number of workers changes nothing here either. Rows go through a shuffle buffer, differently in
every epoch, and are shared out over the processes by shard, or row by row where the shards do not divide evenly. A
resume with the same number of processes sees the same samples again, but reads and drops every row before them. Not
guaranteed: the same global batches with another number of processes. An unreadable row is replaced by one of the next
few of the stream, and the share of unreadable ones is that of the rows so far, of the first thousand at least.
"""

import functools
import glob
import itertools
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import datasets
import numpy as np
import numpy.typing as npt
import torch
from datasets.distributed import split_dataset_by_node
from torch.utils.data import DataLoader, Sampler, default_collate
from torch.utils.data import Dataset as TorchDataset

from training.config import TrainingConfig
from training.samples import SampleMaker, UnreadableRowError

Batch: TypeAlias = dict[str, torch.Tensor]
Rows: TypeAlias = datasets.Dataset | datasets.IterableDataset
NumberedRow: TypeAlias = tuple[int, Mapping[str, Any]]

logger = logging.getLogger(__name__)

MAX_UNREADABLE_SHARE = 0.01
SHUFFLE_BUFFER = 1000  # undecoded rows, in each process, when streaming
_VALIDATION_SPLITS = ("validation", "test")
_STREAM_LOOKAHEAD = 4  # rows a streamed sample may be made of: its own, or the next that can be read
_LEAST_JUDGED = 1000  # rows of a stream; of fewer, a share of unreadable ones says little

# Independent sources of chance under one seed.
_ORDER, _SAMPLE, _VALIDATION = range(3)


def make_train_loader(
    config: TrainingConfig,
    accelerator_processes: int,
    process_index: int,
    start_sample: int,
    device: torch.device | str = "cpu",
) -> "TrainLoader":
    """The endless training stream of one process, as collated batches; not to be passed through `accelerator.prepare`.

    Args:
        config (`TrainingConfig`): its data settings.
        accelerator_processes (`int`): processes that train together; each takes `train_batch_size` samples a batch.
        process_index (`int`): which of them this is.
        start_sample (`int`): samples of the stream that all processes together have seen already.
        device (`torch.device` or `str`): where the batches are put: as bytes, to become float32 there.

    Yields:
        Dicts of float32 tensors, S being `resolution`: `image` `[N,3,S,S]` RGB in [0,1], `gray` `[N,1,S,S]` in [0,1],
        `edges` `[N,1,S,S]` in [0,1], lines of the whole picture, `known_edges` `[N,1,S,S]` in [0,1], those found around
        the hole, `mask` `[N,1,S,S]` in {0,1}, 1 in the hole, `hints` `[N,1,S,S]` in [0,1], the lines within it that
        G1 is shown, and `from_true_edges` `[N,1,1,1]` in {0,1}, which samples `edge_source` mixed paints from `edges`.

    Raises:
        ValueError: the data set cannot be found, is empty, or lacks a column; while iterating: too much of it is
            unreadable.
    """
    rows = load_rows(config, config.split)
    make_sample = SampleMaker(config)
    batches: Sampler[list[Any]]
    if isinstance(rows, datasets.IterableDataset):
        rows = rows.shuffle(seed=config.seed, buffer_size=SHUFFLE_BUFFER)
        rows = split_dataset_by_node(rows, rank=process_index, world_size=accelerator_processes)
        batches = StreamedBatches(rows, config.train_batch_size, accelerator_processes, process_index, start_sample)
        samples: TorchDataset[dict[str, Any]] = StreamedSamples(make_sample, config.seed)
        row_count = None
    else:
        batches = GlobalBatches(config.train_batch_size, accelerator_processes, process_index, start_sample)
        samples = StoredSamples(rows, make_sample, config.seed)
        row_count = len(rows)
    return TrainLoader(
        row_count,
        device,
        dataset=samples,
        batch_sampler=batches,
        num_workers=config.dataloader_num_workers,
        collate_fn=_collate,
        # A streamed picture may be an address, which a worker fetches. A forked one could wait for ever for the locks
        # that threads of this process held on the Hub's client.
        multiprocessing_context="spawn" if row_count is None and config.dataloader_num_workers > 0 else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_start_worker,
        generator=torch.Generator().manual_seed(config.seed),  # else iterating would draw from the global one
    )


def make_validation_batches(config: TrainingConfig) -> list[Batch]:
    """`num_validation_images` fixed samples in batches of `train_batch_size`: the same at every call, without hints.

    They come from `validation_data_dir`, else from the data set's `validation` or `test` split, else (with a warning)
    from the training data; spread evenly over a stored data set, the first rows of a streamed one. Pictures are cropped
    in the middle (or squeezed, with `crop="none"`) and not mirrored; a random `sigma` is 2.

    Raises:
        ValueError: as `make_train_loader`.
    """
    rows = _load_validation_rows(config)
    make_sample = SampleMaker(config, for_validation=True)
    count = config.num_validation_images
    if isinstance(rows, datasets.IterableDataset):
        candidates: Iterable[NumberedRow] = enumerate(rows)
    else:
        spread = np.arange(count) * len(rows) // count if count < len(rows) else np.arange(len(rows))
        others = np.setdiff1d(np.arange(len(rows)), spread)  # step in for unreadable ones
        candidates = ((int(index), rows[int(index)]) for index in itertools.chain(spread, others))
    samples: list[dict[str, Any]] = []
    for index, row in candidates:
        try:
            samples.append(make_sample(row, _generator(config.seed, _VALIDATION, len(samples))))
        except UnreadableRowError as error:
            logger.warning("row %d of the validation data is unreadable and skipped: %s", index, error)
        if len(samples) == count:
            break
    if not samples:
        raise ValueError("not one row of the validation data can be read; the warnings above say why.")
    size = config.train_batch_size
    return [_to_floats(default_collate(samples[first : first + size])) for first in range(0, len(samples), size)]


# Where the rows come from.


def load_rows(config: TrainingConfig, split: str) -> Rows:
    """The rows of `dataset_name` or `train_data_dir`, with the columns that are used, undecoded.

    Raises:
        ValueError: there is no such data set or folder, it is empty, or a column is missing.
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


def _load_validation_rows(config: TrainingConfig) -> Rows:
    if config.validation_data_dir is not None:
        return load_folder("validation_data_dir", config.validation_data_dir, "validation", config)
    if config.train_data_dir is not None:
        names = _splits_of(config.train_data_dir)
    else:
        names = datasets.get_dataset_split_names(config.dataset_name, config.dataset_config_name)
    for split in _VALIDATION_SPLITS:
        if split in names and split != config.split:
            return load_rows(config, split)
    logger.warning("no `validation_data_dir` and no validation split: validating on pictures of the training data")
    return load_rows(config, config.split)


def load_folder(argument: str, folder: str, split: str, config: TrainingConfig) -> Rows:
    """The rows of a folder of one's own, with the columns that `config` names, undecoded.

    Raises:
        ValueError: there is no such folder, it is empty, or lacks the split or a column; `argument` is named.
    """
    return _with_columns(_read_folder(argument, folder, split, config.streaming), config, f"`{argument}` {folder!r}")


def _read_folder(argument: str, folder: str, split: str, streaming: bool) -> Rows:
    """Pictures (with `metadata.csv` or `.jsonl`, if there is one) or parquet files of `folder/split`, else of `folder`.

    The latter only where `folder` has no other split, which would be trained on and validated on at once. Of parquet
    files those of the split are taken, if any are named `split-...parquet`, else all. Pictures are not sorted into
    splits by their names, which `load_dataset` does when left to itself: it takes `my_test.jpg` for the test split, and
    of a folder with one such file it would load nothing else.
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
        raise ValueError(f"`{argument}` {str(root)!r} holds no pictures or parquet files to load: {error}") from error


def _splits_of(folder: str) -> set[str]:
    """What may be splits: the names of a folder's folders, and how those of its parquet files begin."""
    folders = {path.name for path in Path(folder).iterdir() if path.is_dir()}
    return folders | {_split_of(path) for path in Path(folder).rglob("*.parquet")}


def _split_of(parquet: Path) -> str:
    return parquet.stem.split("-")[0]  # train-00000-of-00001.parquet, as on the Hub


def _with_columns(rows: Rows, config: TrainingConfig, source: str) -> Rows:
    """`rows` with the columns that `config` names and no others, undecoded."""
    present = rows.column_names or list(next(iter(rows), {}))
    wanted = {"image_column": config.image_column, "mask_column": config.mask_column, "edge_column": config.edge_column}
    used = {argument: column for argument, column in wanted.items() if column is not None}
    for argument, column in used.items():
        if column not in present:
            raise ValueError(f"`{argument}` is {column!r}, which {source} has not; its columns are {present}.")
    if isinstance(rows, datasets.IterableDataset) and rows.features is not None:
        rows = rows.decode(False)  # first of all: it takes back the decoding in threads that a stream may begin with
    rows = rows.select_columns(list(used.values()))
    for column in used.values():
        if rows.features is not None:  # unknown for some streamed formats, whose rows come undecoded anyway
            rows = rows.cast_column(column, datasets.Image(decode=False))
    if next(iter(rows), None) is None:
        raise ValueError(f"{source} holds no rows.")
    return rows


# From samples to batches.


def _generator(seed: int, purpose: int, number: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, number)))


@functools.lru_cache(maxsize=2)
def _shuffled(seed: int, epoch: int, count: int) -> npt.NDArray[np.int64]:
    return _generator(seed, _ORDER, epoch).permutation(count)


def _too_many_unreadable(reasons: Mapping[int, str], row_count: int) -> ValueError:
    index, reason = next(iter(reasons.items()))
    return ValueError(
        f"{len(reasons)} of {row_count} rows are unreadable; up to {MAX_UNREADABLE_SHARE:.0%} are skipped. "
        f"The first is row {index}: {reason}."
    )


class StoredSamples(TorchDataset[dict[str, Any]]):
    """Samples of a data set on disk, by their number in the training stream; runs in the workers.

    A sample holds the tensors of `SampleMaker`, and under `unreadable` the rows tried before: `{number: reason}`.
    """

    def __init__(self, rows: datasets.Dataset, make_sample: SampleMaker, seed: int):
        self.rows = rows
        self.make_sample = make_sample
        self.seed = seed

    def __getitem__(self, sample: int) -> dict[str, Any]:
        count = len(self.rows)
        epoch, position = divmod(sample, count)
        order = _shuffled(self.seed, epoch, count)
        attempts = int(MAX_UNREADABLE_SHARE * count) + 1  # if none of them can be read, that is too many
        indices = (int(order[(position + attempt) % count]) for attempt in range(attempts))
        rows = ((index, self.rows[index]) for index in indices)
        return _first_readable(rows, self.make_sample, self.seed, sample, count)


class StreamedSamples(TorchDataset[dict[str, Any]]):
    """As `StoredSamples`, of a streamed data set, by a sample's number and the rows that it may be made of."""

    def __init__(self, make_sample: SampleMaker, seed: int):
        self.make_sample = make_sample
        self.seed = seed

    def __getitem__(self, item: tuple[int, Sequence[NumberedRow]]) -> dict[str, Any]:
        sample, rows = item
        return _first_readable(rows, self.make_sample, self.seed, sample, len(rows))


def _first_readable(
    rows: Iterable[NumberedRow], make_sample: SampleMaker, seed: int, sample: int, row_count: int
) -> dict[str, Any]:
    unreadable: dict[int, str] = {}
    for index, row in rows:
        try:
            return {**make_sample(row, _generator(seed, _SAMPLE, sample)), "unreadable": unreadable}
        except UnreadableRowError as error:
            unreadable[index] = str(error)
    raise _too_many_unreadable(unreadable, row_count)


class GlobalBatches(Sampler[list[int]]):
    """The numbers of the samples that make this process's part of each global batch, without end."""

    def __init__(self, batch_size: int, processes: int, process_index: int, start_sample: int):
        self.batch_size, self.stride = batch_size, processes * batch_size
        self.first = start_sample + process_index * batch_size

    def __iter__(self) -> Iterator[list[int]]:
        return (list(range(first, first + self.batch_size)) for first in itertools.count(self.first, self.stride))


class StreamedBatches(Sampler[list[tuple[int, list[NumberedRow]]]]):
    """As `GlobalBatches`, each sample with the rows of this process's stream that it may be made of."""

    def __init__(
        self, rows: datasets.IterableDataset, batch_size: int, processes: int, process_index: int, start_sample: int
    ):
        self.rows, self.numbers = rows, GlobalBatches(batch_size, processes, process_index, start_sample)
        self.skipped = start_sample // processes

    def __iter__(self) -> Iterator[list[tuple[int, list[NumberedRow]]]]:
        rows = itertools.islice(enumerate(self._endless_rows()), self.skipped, None)
        upcoming = deque(itertools.islice(rows, _STREAM_LOOKAHEAD))
        for numbers in self.numbers:
            batch = []
            for number in numbers:
                batch.append((number, list(upcoming)))  # the rows are shared, and sent to a worker once a batch
                upcoming.popleft()
                upcoming.append(next(rows))
            yield batch

    def _endless_rows(self) -> Iterator[Mapping[str, Any]]:
        for epoch in itertools.count():
            self.rows.set_epoch(epoch)
            row = None
            for row in self.rows:
                yield row
            if row is None:
                raise ValueError("the streamed data set gives this process no rows; fewer processes or more rows fit.")


class TrainLoader(DataLoader[Any]):
    """A `DataLoader` that keeps account of what could not be read.

    Args:
        row_count (`int`, *optional*): rows of the data set; `None` of a stream, whose rows are not counted beforehand.
        device (`torch.device` or `str`): where the batches are put.
        kwargs: what `DataLoader` takes.

    Attributes:
        unreadable (`dict[int, str]`): row number and reason, of the rows met by this process since it started.
    """

    def __init__(self, row_count: int | None, device: torch.device | str, **kwargs: Any):
        super().__init__(**kwargs)
        self.row_count = row_count
        self.device = device
        self.unreadable: dict[int, str] = {}

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # a generator is an iterator
        rows_read = 0
        for batch in super().__iter__():
            unreadable = batch.pop("unreadable")
            for index in unreadable.keys() - self.unreadable.keys():
                logger.warning("row %d is unreadable and skipped: %s", index, unreadable[index])
            self.unreadable |= unreadable
            rows_read += len(batch["image"]) + len(unreadable)
            rows = self.row_count or max(rows_read, _LEAST_JUDGED)
            if len(self.unreadable) > MAX_UNREADABLE_SHARE * rows:
                raise _too_many_unreadable(self.unreadable, self.row_count or rows_read)
            yield _to_floats({name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()})


def _to_floats(batch: Batch) -> Batch:
    """Float32 in [0,1] of the bytes that `SampleMaker` makes."""
    return {name: tensor.float().div_(255) if name != "gray" else tensor for name, tensor in batch.items()}


def _collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    unreadable = {index: reason for sample in samples for index, reason in sample.pop("unreadable").items()}
    return {**default_collate(samples), "unreadable": unreadable}


def _start_worker(worker_id: int) -> None:
    cv2.setNumThreads(0)  # the workers are the parallelism; OpenCV's threads do not survive a fork either
    if hasattr(os, "setpgrp"):
        # A SIGTERM sent to the whole group (by `timeout`, a shell, a scheduler) is for the trainer, which then writes a
        # checkpoint. It could not, if that had ended its workers.
        os.setpgrp()
