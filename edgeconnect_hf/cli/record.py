"""What made each result of a folder, so that a later run skips what is finished and redoes what changed."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..digests import file_digest
from .jobs import Job

NAME = ".edgeconnect.jsonl"
_FINISHED = ("inputs", "settings", "outputs")  # what a line of a written result holds
_IN_WORDS = {"image": "photo", "mask_image": "mask"}


class Verdict(NamedTuple):
    """What to do about a photo whose results are there, or not.

    Args:
        state (`str`): `"missing"`: no result; `"finished"`; `"changed"`: made from something else, by our hand;
            `"foreign"`: not known to be ours.
        reason (`str`): what changed.
    """

    state: Literal["missing", "finished", "changed", "foreign"]
    reason: str = ""


class Record:
    """The record of an output folder: a file of JSON lines, two for each photo: begun, and what its result was made
    from. The last one counts, so that a photo whose results a crash cut short is redone.

    Several processes may append to it. A line that was cut short is ignored.

    Args:
        folder (`Path`): the output folder.
        settings (`dict`): the options that shape a result.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.folder, self.settings = folder, dict(settings)
        self._made = _read(folder / NAME)

    def judge(self, job: Job) -> Verdict:
        """Compare what is there with what was recorded, and that with what would be done now."""
        present = {argument: path for argument, path in job.outputs.items() if os.path.lexists(path)}
        if not present:
            return Verdict("missing")
        made = self._made.get(self._key(job))
        if made == {}:
            return Verdict("changed", "interrupted before")
        if made is None or not all(_is_unchanged(path, made["outputs"].get(key)) for key, path in present.items()):
            return Verdict("foreign")
        reasons = [*self._changed_inputs(job, made["inputs"]), *self._changed_settings(made["settings"])]
        reasons += [f"no file for {argument}" for argument in job.outputs if argument not in present]
        return Verdict("changed", ", ".join(reasons)) if reasons else Verdict("finished")

    def begin(self, job: Job) -> dict[str, Any]:
        """Record that the job is begun.

        Returns:
            What it is made from, for `finish`; taken before its files are read, lest they change meanwhile.
        """
        self._append({"result": self._key(job)})
        return {argument: _fingerprint(path) for argument, path in job.inputs.items()}

    def finish(self, job: Job, inputs: dict[str, Any]) -> None:
        """Record that the results of the job are written."""
        line = {
            "result": self._key(job),
            "inputs": inputs,
            "settings": self.settings,
            "outputs": {argument: _fingerprint(path) for argument, path in job.outputs.items()},
        }
        self._append(line)

    def _append(self, line: dict[str, Any]) -> None:
        with (self.folder / NAME).open("ab", buffering=0) as file:
            file.write(f"\n{json.dumps(line)}".encode())  # one write; begins a line even after one that was cut short

    def _key(self, job: Job) -> str:
        return job.outputs["--output"].relative_to(self.folder).as_posix()

    def _changed_inputs(self, job: Job, made_from: dict[str, Any]) -> list[str]:
        reasons = []
        for argument in dict.fromkeys([*made_from, *job.inputs]):
            words = _IN_WORDS.get(argument, argument)
            if argument not in job.inputs:
                reasons.append(f"{words} no longer given")
            elif argument not in made_from:
                reasons.append(f"{words} given")
            elif not _is_unchanged(job.inputs[argument], made_from[argument]):
                reasons.append(f"{words} changed")
        return reasons

    def _changed_settings(self, made_with: dict[str, Any]) -> list[str]:
        reasons = []
        for name, value in self.settings.items():
            before = made_with.get(name)
            if name == "model" and before != value:
                reasons.append("model changed")  # its digest would say nothing
            elif before != value:
                reasons.append(f"{name} {_show(before)} -> {_show(value)}")
        return reasons


def _read(path: Path) -> dict[str, dict[str, Any]]:
    made = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
            is_begun = entry.keys() == {"result"}
            made[entry["result"]] = {} if is_begun else {key: dict(entry[key]) for key in _FINISHED}
        except (ValueError, TypeError, KeyError):  # empty, cut short, or not ours
            continue
    return made


def _fingerprint(path: Path) -> dict[str, Any] | None:
    try:
        stat = path.stat()
        return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": file_digest(path)}
    except OSError:  # said by name when the file is read
        return None


def _is_unchanged(path: Path, before: dict[str, Any] | None) -> bool:
    """Whether a file has the recorded content; it is read only if its time differs, as after copying a folder."""
    try:
        stat = path.stat()
        if before is None or stat.st_size != before["size"]:
            return False
        return stat.st_mtime_ns == before["mtime_ns"] or file_digest(path) == before["sha256"]
    except OSError:  # gone
        return False


def _show(value: Any) -> str:
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
