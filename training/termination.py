"""SIGTERM as a request to stop after the current update."""

import signal
from typing import Any


class TerminationRequest:
    """Records SIGTERM instead of ending the process, from its construction until `restore`.

    Attributes:
        is_received (`bool`): whether a SIGTERM has arrived.
    """

    def __init__(self) -> None:
        self.is_received = False
        self._old_handler = signal.signal(signal.SIGTERM, self._record)

    def _record(self, *_: Any) -> None:
        self.is_received = True

    def restore(self) -> None:
        """Gives SIGTERM back the handler it had before."""
        signal.signal(signal.SIGTERM, self._old_handler)
