"""One model, many visitors: who runs next, for how long, and when a job is dropped.

A handler runs in its own thread and is given up when its time is over, even if it hangs: the visitor gets an answer and
the next job gets the model. A thread cannot be killed, but this one ends at the next check, and `Limits` bound what it
does between two. A child process could be killed, but would need a second copy of the model and of the sessions' state.
"""

import asyncio
import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from .limits import Limits
from .refusals import BUSY, refusal

LONG_JOB = 5  # seconds, estimated; shorter jobs go first

_POLL = 0.1  # seconds between two looks at whether a job is still wanted
_MAX_HANGING = 3  # given-up threads that do not end; with this many, no job is started
_PROMPT = 5  # seconds within which a given-up job usually reaches the next check

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """A handler running for one visitor.

    Args:
        time_limit (`float`): seconds it may run, not counting the wait.
        session (`str`, *optional*): the visitor's session.
        is_abandoned: tells whether the visitor has left.
        name (`str`): the handler's.
        number (`int`): the visitor's, which grows from call to call.
    """

    time_limit: float
    session: str | None = None
    is_abandoned: Callable[[], bool] = lambda: False
    name: str = ""
    number: int = 0
    is_waiting: bool = field(default=False, init=False)
    end: BaseException | None = field(default=None, init=False)  # raised at the next check

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.time_limit

    def check(self) -> None:
        """Raise if the job must end. Called while it waits, and by what it does, as often as it can."""
        if self.end is None and not self.is_waiting and time.monotonic() > self.deadline:
            self.end = refusal(f"This took over {self.time_limit:g} seconds and was stopped. Try a smaller part.")
        if self.end is None and self.is_abandoned():
            self.end = refusal("The visitor has left.")
        if self.end is not None:
            raise self.end


_current: ContextVar[Job | None] = ContextVar("job", default=None)


def current_job() -> Job | None:
    """The job of the calling thread."""
    return _current.get()


def check_current_job(*_: Any) -> None:
    """End the job of the calling thread if its time is over or its visitor has left; also a hook of PyTorch."""
    if (job := current_job()) is not None:
        job.check()


class Gate:
    """Admits one job at a time to the model: short jobs first, otherwise in order of arrival.

    A short job therefore waits for at most one long job, the one that is running.

    Args:
        limits (`Limits`): `max_wait` is used.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self.condition = threading.Condition()
        self.waiting: list[Job] = []  # in order of arrival
        self.running: Job | None = None
        self.seconds: dict[Job, float] = {}  # estimates of the running and the waiting jobs

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Wait for the model, hold it, release it.

        Args:
            seconds (`float`): how long the job is estimated to hold it.

        Raises:
            gr.Error: the visitor has left, or the wait was longer than `max_wait`.
        """
        job = current_job() or Job(time_limit=float("inf"))
        self._enter(job, seconds)
        try:
            yield
        finally:
            self.leave(job)

    def leave(self, job: Job) -> None:
        """Release the model if `job` holds it."""
        with self.condition:
            self.seconds.pop(job, None)
            if self.running is job:
                self.running = None
            self.condition.notify_all()

    def expected_wait(self) -> float:
        """Estimated seconds until a new job gets its turn."""
        return sum(list(self.seconds.values()))

    def _enter(self, job: Job, seconds: float) -> None:
        arrived = time.monotonic()
        with self.condition:
            self.waiting.append(job)
            self.seconds[job] = seconds
            job.is_waiting = True
            try:
                while self.running is not None or job is not self._next():
                    self.condition.wait(_POLL)
                    job.check()
                    if time.monotonic() - arrived > self.limits.max_wait:
                        raise refusal(BUSY)
                self.running = job
            except BaseException:
                self.seconds.pop(job, None)
                raise
            finally:
                self.waiting.remove(job)
                job.is_waiting = False
                job.deadline += time.monotonic() - arrived
                self.condition.notify_all()

    def _next(self) -> Job:
        """The first of the short jobs that wait, or of all."""
        return min(self.waiting, key=lambda job: self.seconds.get(job, 0) > LONG_JOB)


class Supervisor:
    """Runs handlers as jobs.

    Args:
        gate (`Gate`): released when a job that was given up hangs.
    """

    def __init__(self, gate: Gate):
        self.gate = gate
        self.given_up: dict[threading.Thread, float] = {}  # and since when

    async def run(self, job: Job, handler: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        """Call `handler` in a thread as `job`.

        Raises:
            gr.Error: its time is over, or its visitor has left. Other errors are the handler's.
        """
        self.given_up = {thread: when for thread, when in self.given_up.items() if thread.is_alive()}
        if sum(time.monotonic() - when > _PROMPT for when in self.given_up.values()) >= _MAX_HANGING:
            logger.error("%d jobs hang: no more are started until one of them ends.", len(self.given_up))
            raise refusal(BUSY)
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # a thread cannot be cancelled
        context = copy_context()
        context.run(_current.set, job)

        def work() -> None:
            try:
                future.set_result(context.run(handler, *inputs, **options))
            except BaseException as error:
                future.set_exception(error)

        thread = threading.Thread(target=work, name=f"job {getattr(handler, '__name__', handler)}", daemon=True)
        thread.start()
        result = asyncio.wrap_future(future)
        try:
            while not (await asyncio.wait({result}, timeout=_POLL))[0]:
                job.check()
            return await result
        except BaseException:
            if not result.done():  # its time is over, its visitor has left, or Gradio cancelled it
                job.end = job.end or refusal("This was cancelled.")
                self.given_up[thread] = time.monotonic()
                result.cancel()
                asyncio.get_running_loop().call_later(_PROMPT, self.gate.leave, job)  # by then it has, unless it hangs
            raise


def on_gpu(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """On ZeroGPU hardware, where `spaces` is installed, hold a GPU during the call; elsewhere, return `function`."""
    if importlib.util.find_spec("spaces") is None:
        return function
    import spaces

    return spaces.GPU(duration=int(seconds))(function)
