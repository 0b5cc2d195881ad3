"""What one visitor may ask of the server."""

import argparse
import math
import os
from dataclasses import dataclass, field, fields, replace
from typing import Any


def _limit(default: float, unit: str, meaning: str) -> Any:
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


@dataclass(frozen=True)
class Limits:
    """Limits of the demo. See docs/security.md.

    Each is a flag of `edgeconnect demo`, as `--max-megapixels`, and a variable of the environment, as
    `EDGECONNECT_MAX_MEGAPIXELS`; the flag counts more.

    Raises:
        ValueError: a limit is not above 0 and finite.
    """

    max_megapixels: float = _limit(25, "MP", "size of a photo, a mask or a line map")
    max_megabytes: float = _limit(30, "MB", "size of an upload")
    max_waiting: float = _limit(20, "N", "jobs that wait for the model; the next one is turned away")
    max_address_jobs: float = _limit(4, "N", "jobs of one public address, running and waiting, over all its sessions")
    max_job_seconds: float = _limit(20, "S", "estimated length of a job; a longer one is refused before it starts")
    time_limit: float = _limit(60, "S", "time after which a job is given up")
    max_wait: float = _limit(120, "S", "time after which a waiting job is turned away")
    max_disk: float = _limit(2000, "MB", "uploads and results that are kept; beyond that the oldest are deleted")
    file_age: float = _limit(7200, "S", "age at which uploads and results are deleted")
    session_grace: float = _limit(300, "S", "time from a page's closing to the deletion of all it had")

    def __post_init__(self) -> None:
        for limit in fields(self):
            if not 0 < getattr(self, limit.name) < math.inf:
                raise ValueError(f"`{limit.name}` must be above 0 and finite: got {getattr(self, limit.name)!r}.")

    @classmethod
    def from_environment(cls) -> "Limits":
        """The limits that the environment sets, and the defaults of the others."""
        given = {limit.name: os.environ.get(_variable(limit.name)) for limit in fields(cls)}
        try:
            return cls(**{name: float(value) for name, value in given.items() if value is not None})
        except ValueError as error:
            raise ValueError(f"A limit in the environment, as {_variable('max_megapixels')}: {error}") from None

    @classmethod
    def add_flags(cls, parser: argparse.ArgumentParser) -> None:
        """Add a flag for each limit."""
        group = parser.add_argument_group("limits, of what one visitor may ask; also EDGECONNECT_… in the environment")
        for limit in fields(cls):
            group.add_argument(
                f"--{limit.name.replace('_', '-')}",
                type=float,
                metavar=limit.metadata["unit"],
                help=f"{limit.metadata['meaning']} (default: {limit.default:g})",
            )

    @classmethod
    def from_flags(cls, args: argparse.Namespace) -> "Limits":
        """The limits of the command line; those it leaves out are the environment's."""
        given = {limit.name: getattr(args, limit.name) for limit in fields(cls)}
        return replace(cls.from_environment(), **{name: value for name, value in given.items() if value is not None})


def _variable(name: str) -> str:
    return f"EDGECONNECT_{name.upper()}"
