"""What one visitor may ask of the server."""

import argparse
import math
from dataclasses import dataclass, field, fields
from typing import Any


def _limit(default: float, unit: str, meaning: str) -> Any:
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


@dataclass(frozen=True)
class Limits:
    """Limits of the demo; each is a flag of `edgeconnect demo`, `--max-megapixels` and so on. See docs/security.md.

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
    def add_flags(cls, parser: argparse.ArgumentParser) -> None:
        """Add a flag for each limit."""
        group = parser.add_argument_group("limits, of what one visitor may ask")
        for limit in fields(cls):
            group.add_argument(
                f"--{limit.name.replace('_', '-')}",
                type=float,
                default=limit.default,
                metavar=limit.metadata["unit"],
                help=f"{limit.metadata['meaning']} (default: %(default)g)",
            )

    @classmethod
    def from_flags(cls, args: argparse.Namespace) -> "Limits":
        """The limits that were given on the command line."""
        return cls(**{limit.name: getattr(args, limit.name) for limit in fields(cls)})
