"""Who is told of the requests that were answered, and what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Observe = Callable[[str, int, float], None]
"""Is told the API that a request was for (empty if none), the HTTP status of the response, and the seconds it took."""


def ignore(api: str, status: int, seconds: float) -> None:
    """Observes nothing."""


@dataclass(slots=True)
class RequestContext:
    """The way that a request takes: which API it led to, and when the long way began, if it had to take that.

    What it has in it of interest is noted on the way: who makes it, the job it begins or asks for, and its body, as it
    was read or, until then, as it came.
    """

    api: str = ""
    began: float | None = None
    account: str | None = None
    job: str | None = None
    body: Mapping[str, object] | bytes | None = None
