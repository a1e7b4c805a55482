"""What is noted about one request on its way to an API: the source of its metrics and of its row in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagestore_sim.rest.faulted_job import FaultedJob
    from imagestore_sim.rest.faulted_request import FaultedRequest
    from imagestore_sim.web_server import Connection


@dataclass(slots=True)
class RequestContext:
    """Notes about one request, each filled in as soon as it is known."""

    connection: Connection | None
    """The connection that the request came on; None if the client has gone."""
    api: str = ""
    """The class name of the message, or `api-jobs` for a poll; empty if the request reached no API."""
    began: float | None = None
    """When the request was routed, in the clock's monotonic seconds; None for a response from the cache."""
    account: str | None = None
    """The uuid of the account that makes the call."""
    session: str | None = None
    """The uuid of the session that the call claims."""
    job: str | None = None
    """The uuid of the job that the call begins or polls."""
    faults: FaultedRequest | None = None
    """What faults do to the request; None while none is set."""
    body: Mapping[str, object] | bytes | None = None
    """The parsed body; its bytes until it is parsed; None if it was not read."""

    @property
    def faulted_job(self) -> FaultedJob | None:
        """Return what faults do to the job of the call; None: nothing."""
        return None if self.faults is None else self.faults.job

    @property
    def meets_faults(self) -> bool:
        """Return whether the request has met faults."""
        return self.faults is not None and bool(self.faults.ids)
