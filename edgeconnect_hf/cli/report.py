"""What the command line says about each photo: for people, and with `--json` for scripts."""

import json
import sys

from tqdm import tqdm

from .jobs import Job


class Report:
    """Lines about photos.

    Args:
        as_json (`bool`): one JSON line a photo on standard output, and all other words on standard error.
    """

    def __init__(self, as_json: bool):
        self.as_json = as_json

    def say(self, text: str) -> None:
        """A line of progress, on standard output where that is free for it."""
        tqdm.write(text, file=sys.stderr if self.as_json else sys.stdout)

    def warn(self, text: str) -> None:
        """A line on standard error, clear of the progress bar."""
        tqdm.write(f"edgeconnect: {text}", file=sys.stderr)

    def photo(
        self,
        job: Job,
        status: str,
        *,
        seconds: float | None = None,
        windows: int | None = None,
        error: str | None = None,
    ) -> None:
        """The end of one photo.

        Args:
            job (`Job`): the photo.
            status (`str`): `"done"`, `"skipped"` or `"failed"`.
            seconds (`float`, *optional*): the time it took.
            windows (`int`, *optional*): how many windows were repainted.
            error (`str`, *optional*): why it failed, or why an unfinished one is skipped.
        """
        if self.as_json:
            rounded = None if seconds is None else round(seconds, 3)
            line = {"file": job.name, "status": status, "seconds": rounded, "windows": windows, "error": error}
            tqdm.write(json.dumps(line), file=sys.stdout)
            sys.stdout.flush()  # a script reads it at once
