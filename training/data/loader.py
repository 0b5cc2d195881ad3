"""Batches of samples from the rows of a data set, in an order that depends on the seed alone.

**Order.** Sample `k` of the endless training stream is a pure function of the seed and `k`: its row (each epoch
shuffles all rows again), crop, mirroring, mask and hints. Process `r` of a run takes the `r`-th part of each global
batch. So neither the number of workers nor resuming changes the samples, and P processes with a batch of B/P see the
same global batches as one process with a batch of B.

**Unreadable rows.** If the row of sample `k` cannot be decoded, the next readable row in the epoch's order replaces it.
Each unreadable row is named once in a warning and counted in `TrainLoader.unreadable`; more than 1 % of the data set
raises a `ValueError`. Workers report unreadable rows with their batches; each process counts those of its own workers.

**Streaming.** The main process reads the rows; the workers fetch (where a row holds a URL only) and decode the images,
so the number of workers changes nothing here either. Rows pass a shuffle buffer, differently in every epoch, and are
divided among the processes by shard, or row by row where the shards do not divide evenly. Resuming with the same number
of processes gives the same samples, but reads and drops every row before them. Another number of processes may see
other global batches. An unreadable row is replaced by one of the next few of the stream; the share of unreadable rows
is that of the rows so far, at least the first thousand.
"""

import functools
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
from training.data.checks import check_images, check_mask_folder
from training.data.rows import load_rows, load_validation_rows
from training.data.samples import SampleMaker, UnreadableRowError

Batch: TypeAlias = dict[str, torch.Tensor]
NumberedRow: TypeAlias = tuple[int, Mapping[str, Any]]

logger = logging.getLogger(__name__)

MAX_UNREADABLE_SHARE = 0.01
SHUFFLE_BUFFER = 1000  # undecoded rows, in each process, when streaming
_STREAM_LOOKAHEAD = 4  # rows of a streamed sample: its own, and replacements if it is unreadable
_LEAST_JUDGED = 1000  # rows of a stream before the share of unreadable ones is meaningful

# Independent random generators under one seed.
_ORDER, _SAMPLE, _VALIDATION = range(3)


def make_train_loader(
    config: TrainingConfig,
    accelerator_processes: int,
    process_index: int,
    start_sample: int,
    device: torch.device | str = "cpu",
) -> "TrainLoader":
    """The endless training stream of one process, as collated batches; do not pass it to `accelerator.prepare`.

    Args:
        config (`TrainingConfig`): the data settings.
        accelerator_processes (`int`): processes that train together; each takes `train_batch_size` samples per batch.
        process_index (`int`): the index of this process.
        start_sample (`int`): samples of the stream that all processes together have already seen.
        device (`torch.device` or `str`): device of the batches: sent as bytes, converted to float32 there.

    Yields:
        Dicts of float32 tensors, S being `resolution`: `image` `[N,3,S,S]` RGB in [0,1], `gray` `[N,1,S,S]` in [0,1],
        `edges` `[N,1,S,S]` in [0,1], lines of the whole image, `known_edges` `[N,1,S,S]` in [0,1], those found around
        the hole, `mask` `[N,1,S,S]` in {0,1}, 1 in the hole, `hints` `[N,1,S,S]` in [0,1], the lines in it that G1 is
        shown, and `from_true_edges` `[N,1,1,1]` in {0,1}, 1 where `edge_source` mixed paints from `edges`.

    Raises:
        ValueError: the data set cannot be found, is empty, or lacks a column; while iterating: too much of it is
            unreadable.
    """
    rows = load_rows(config, config.split)
    make_sample = SampleMaker(config)
    if config.mask_dataset is not None:
        check_mask_folder(config.mask_dataset, config.mask_threshold)
    batches: Sampler[list[Any]]
    if isinstance(rows, datasets.IterableDataset):
        rows = rows.shuffle(seed=config.seed, buffer_size=SHUFFLE_BUFFER)
        rows = split_dataset_by_node(rows, rank=process_index, world_size=accelerator_processes)
        batches = StreamedBatches(rows, config.train_batch_size, accelerator_processes, process_index, start_sample)
        samples: TorchDataset[dict[str, Any]] = StreamedSamples(make_sample, config.seed)
        row_count = None
    else:
        check_images(rows, config)
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
        # Workers fetch streamed images; a forked one may deadlock on locks of the Hub client's threads.
        multiprocessing_context="spawn" if row_count is None and config.dataloader_num_workers > 0 else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_start_worker,
        generator=torch.Generator().manual_seed(config.seed),  # otherwise iterating draws from the global generator
    )


def make_validation_batches(config: TrainingConfig) -> tuple[list[Batch], list[str]]:
    """`num_validation_images` fixed samples in batches of `train_batch_size`: the same at every call, without hints.

    They come from `validation_data_dir`, otherwise from the data set's `validation` or `test` split, otherwise (with a
    warning) from the training data; spread evenly over a stored data set, the first rows of a streamed one. Images are
    cropped in the middle (or squeezed, with `crop="none"`) and not mirrored; a random `sigma` becomes 2.

    Returns:
        The batches, and the names of their samples: of the files, without folder and ending, or numbers from 1.

    Raises:
        ValueError: as in `make_train_loader`.
    """
    rows = load_validation_rows(config)
    make_sample = SampleMaker(config, for_validation=True)
    count = config.num_validation_images
    if isinstance(rows, datasets.IterableDataset):
        candidates: Iterable[NumberedRow] = enumerate(rows)
    else:
        spread = np.arange(count) * len(rows) // count if count < len(rows) else np.arange(len(rows))
        others = np.setdiff1d(np.arange(len(rows)), spread)  # replace unreadable ones
        candidates = ((int(index), rows[int(index)]) for index in itertools.chain(spread, others))
    samples: list[dict[str, Any]] = []
    names: list[str] = []
    for index, row in candidates:
        try:
            samples.append(make_sample(row, _generator(config.seed, _VALIDATION, len(samples))))
            names.append(_name(row[config.image_column]) or str(len(samples)))
        except UnreadableRowError as error:
            logger.warning("Row %d of the validation data is unreadable and skipped: %s", index, error)
        if len(samples) == count:
            break
    if not samples:
        raise ValueError("no row of the validation data can be read; the warnings above say why.")
    size = config.train_batch_size
    starts = range(0, len(samples), size)
    return [_to_floats(default_collate(samples[start : start + size])) for start in starts], names


def _name(image: Any) -> str:
    """The name of an undecoded image's file, without folder and ending; empty if it has none."""
    path = image.get("path") if isinstance(image, Mapping) else None
    return Path(path.split("::")[0]).stem if path else ""  # `zip://photo.jpg::https://…` in a streamed archive


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

    A sample holds the tensors of `SampleMaker` and, as `unreadable`, the rows that failed before: `{number: reason}`.
    """

    def __init__(self, rows: datasets.Dataset, make_sample: SampleMaker, seed: int):
        self.rows = rows
        self.make_sample = make_sample
        self.seed = seed

    def __getitem__(self, sample: int) -> dict[str, Any]:
        count = len(self.rows)
        epoch, position = divmod(sample, count)
        order = _shuffled(self.seed, epoch, count)
        attempts = int(MAX_UNREADABLE_SHARE * count) + 1  # more are too many unreadable rows
        indices = (int(order[(position + attempt) % count]) for attempt in range(attempts))
        rows = ((index, self.rows[index]) for index in indices)
        return _first_readable(rows, self.make_sample, self.seed, sample, count)


class StreamedSamples(TorchDataset[dict[str, Any]]):
    """As `StoredSamples`, of a streamed data set, by a sample's number and its candidate rows."""

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
    """The sample numbers of this process's part of each global batch, endlessly."""

    def __init__(self, batch_size: int, processes: int, process_index: int, start_sample: int):
        self.batch_size, self.stride = batch_size, processes * batch_size
        self.first = start_sample + process_index * batch_size

    def __iter__(self) -> Iterator[list[int]]:
        return (list(range(first, first + self.batch_size)) for first in itertools.count(self.first, self.stride))


class StreamedBatches(Sampler[list[tuple[int, list[NumberedRow]]]]):
    """As `GlobalBatches`, each sample with its candidate rows of this process's stream."""

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
                batch.append((number, list(upcoming)))  # shared rows are sent to a worker once per batch
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
                raise ValueError("the streamed data set has no rows for this process: start fewer processes.")


class TrainLoader(DataLoader[Any]):
    """A `DataLoader` that counts unreadable rows.

    Args:
        row_count (`int`, *optional*): rows of the data set; `None` for a stream, whose length is unknown.
        device (`torch.device` or `str`): device of the batches.
        kwargs: arguments of `DataLoader`.

    Attributes:
        unreadable (`dict[int, str]`): number and reason of the unreadable rows of this process since it started.
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
                logger.warning("Row %d is unreadable and skipped: %s", index, unreadable[index])
            self.unreadable |= unreadable
            rows_read += len(batch["image"]) + len(unreadable)
            rows = self.row_count or max(rows_read, _LEAST_JUDGED)
            if len(self.unreadable) > MAX_UNREADABLE_SHARE * rows:
                raise _too_many_unreadable(self.unreadable, self.row_count or rows_read)
            yield _to_floats({name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()})


def _to_floats(batch: Batch) -> Batch:
    """Bytes of `SampleMaker` as float32 in [0,1]."""
    return {name: tensor.float().div_(255) if name != "gray" else tensor for name, tensor in batch.items()}


def _collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    unreadable = {index: reason for sample in samples for index, reason in sample.pop("unreadable").items()}
    return {**default_collate(samples), "unreadable": unreadable}


def _start_worker(worker_id: int) -> None:
    cv2.setNumThreads(0)  # the workers are the parallelism, and OpenCV's threads do not survive a fork
    if hasattr(os, "setpgrp"):
        # A SIGTERM to the process group (by `timeout`, a shell, a scheduler) must not end the workers before the
        # trainer has written its checkpoint.
        os.setpgrp()
