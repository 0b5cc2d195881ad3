"""The page's own calls into Python: admitted, supervised, and answered in words if they fail."""

import logging
from collections.abc import Callable, Collection
from typing import Any

import gradio as gr

from .door import Door
from .jobs import Job, Supervisor
from .refusals import UNEXPECTED, GoneError, refusal

logger = logging.getLogger(__name__)


class Calls:
    """Makes `server_functions` of handlers. Gradio (6.31) runs these for anybody, past its queue.

    Args:
        door (`Door`): checks inputs and admits jobs.
        supervisor (`Supervisor`): runs them.
    """

    def __init__(self, door: Door, supervisor: Supervisor):
        self.door, self.supervisor = door, supervisor

    def serve(self, handler: Callable[..., dict[str, Any]], ends: Collection[str] = ()) -> Callable[..., Any]:
        """`handler` as a function that the page calls with its arguments by name.

        Args:
            handler: returns what the page gets; a refusal becomes `{"error": message}`.
            ends: names of handlers. The session's earlier calls of these end, and are answered `{"replaced": True}`.
        """

        async def call(data: Any, request: gr.Request) -> dict[str, Any]:
            session = str((await _body(request)).get("session_hash"))
            job = Job(self.door.limits.time_limit, session, self.door.absence(session), handler.__name__)
            for older in [each for each in self.door.admitted if each.session == session and each.name in ends]:
                older.end = _ReplacedError()
                del self.door.admitted[older]
            try:
                self.door.files.check_inputs(data, session)
                self.door.admit(job, request)
                return await self.supervisor.run(job, handler, **data)
            except _ReplacedError:
                return {"replaced": True}
            except gr.Error as error:
                return {"error": error.message, "isGone": isinstance(error, GoneError)}
            except Exception:  # its message may name files of this server
                logger.exception("A call of the page failed.")
                return {"error": UNEXPECTED}
            finally:
                self.door.admitted.pop(job, None)

        call.__name__ = handler.__name__
        return call


async def _body(request: gr.Request) -> dict[str, Any]:
    """The request's JSON, which Gradio has read already."""
    try:
        return await request.json()
    except ValueError:  # a form with files
        raise refusal(UNEXPECTED) from None


class _ReplacedError(Exception):
    """A newer call has taken a job's place."""
