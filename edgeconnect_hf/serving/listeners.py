"""Who is still there: visitors listen for the results of their jobs."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_ABSENCE = 1  # seconds without a listener after which a visitor who listened has left
_PATIENCE = 15  # seconds within which a visitor begins to listen for a job's result


class Listeners:
    """Who listens for results: the session of a page or of `gradio_client`, or the event of a plain HTTP client."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.left: dict[str, float] = {}  # when each left

    @contextmanager
    def listening(self, key: str) -> Iterator[None]:
        self.counts[key] += 1
        try:
            yield
        finally:
            self.counts[key] -= 1
            now = time.monotonic()
            if self.counts[key] <= 0:
                del self.counts[key]
                self.left[key] = now
            self.left = {key: when for key, when in self.left.items() if now - when < 10 * _PATIENCE}

    def have_left(self, keys: set[str], since: float) -> bool:
        """Whether nobody listens under any of `keys`, nor is expected to, for a job queued at `since`."""
        if any(key in self.counts for key in keys):
            return False
        now = time.monotonic()
        left = max((self.left[key] for key in keys if key in self.left), default=0)
        return now - left > _ABSENCE if left > since else now - since > _PATIENCE
