"""Uploads and results: who may name them, when they are deleted."""

import os
import stat
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from .jobs import current_job
from .limits import Limits
from .refusals import GoneError

_BLOCK = 4096  # bytes that even an empty file takes


class Files:
    """Files of the running app.

    Args:
        limits (`Limits`): `max_disk` is used.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self.owners: defaultdict[str, set[str]] = defaultdict(set)  # path -> sessions that uploaded or received it
        self.lock = threading.Lock()
        self.served: list[set[str]] = [set()]  # Gradio's, once there is an app: the first for uploads and results

    def check_inputs(self, inputs: Any, session: str | None) -> None:
        """Refuse `inputs` that name, at any depth, a file which this server neither received nor wrote.

        Gradio checks only files that carry its `meta`, but its components accept others (6.31). This can go once
        `gradio.processing_utils.async_move_files_to_cache` checks everything with a `path`.

        Raises:
            gr.Error: there is such a file; the answer is the same whatever it is.
        """
        for path in _paths(inputs):
            if not self._is_served(path):
                raise GoneError("picture")
            if session is not None:
                self.own(path, session)

    def own(self, path: str, session: str) -> None:
        """Have a file deleted with `session`."""
        with self.lock:
            self.owners[path].add(session)

    def save(self, name: str, write: Callable[[Path], None]) -> str:
        """Where a result lies, for Gradio to serve. It belongs to the running job's session.

        Args:
            name (`str`): its file name.
            write: writes it to a path.
        """
        folder = Path(get_upload_folder())
        folder.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(dir=folder)) / name
        write(path)
        job = current_job()
        if job is not None and job.session is not None:
            self.own(str(path), job.session)
        self.served[0].add(str(path))  # deleted with Gradio's files even if the job is given up
        self.make_room()
        return str(path)

    def forget(self, session: str) -> None:
        """Delete the files that belong to this session only."""
        with self.lock:
            mine = [path for path, owners in self.owners.items() if session in owners]
            for path in mine:
                self.owners[path].discard(session)
            self._delete(path for path in mine if not self.owners[path])

    def make_room(self) -> None:
        """Delete the oldest files until the rest take no more than `max_disk`."""
        with self.lock:
            kept = []
            for path in set().union(*self.served):
                try:
                    status = os.lstat(path)
                except OSError:
                    continue
                kept.append((status.st_mtime, path, max(status.st_size, _BLOCK)))
            for path in self.owners.keys() - {path for _, path, _ in kept}:
                del self.owners[path]
            excess = sum(size for *_, size in kept) - self.limits.max_disk * 2**20
            for _, path, size in sorted(kept):
                if excess <= 0:
                    break
                self._delete([path])
                excess -= size

    def _is_served(self, path: str) -> bool:
        """Whether this server received or wrote `path`, named exactly so, and it is still a regular file."""
        if not any(path in paths for paths in self.served):
            return False
        try:
            return stat.S_ISREG(os.lstat(path).st_mode)
        except (OSError, ValueError):
            return False

    def _delete(self, paths: Iterable[str]) -> None:
        folder = Path(get_upload_folder())
        for path in paths:
            self.owners.pop(path, None)
            for paths in self.served:
                paths.discard(path)
            if folder not in Path(path).parents:  # an example of the package
                continue
            try:
                os.remove(path)
                os.rmdir(Path(path).parent)  # its folder, if nothing else is in it
            except OSError:
                continue


def _paths(inputs: Any) -> Iterator[str]:
    """Every `path` and `url` that may lead to a file, in dicts and lists at any depth."""
    waiting = [inputs]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("path") is not None:
                yield str(value["path"])
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
