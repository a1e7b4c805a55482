"""How the lab's API and the plugin show requests of the journal, and in what they differ from what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from imagestore_sim.lab_api.request_comparison import Difference
from imagestore_sim.lab_api.routes import Shape
from imagestore_sim.rest.journal import Entry

SHOWN = 8
"""Requests, or differences of one, that a text names at most."""


class RequestShape(Shape):
    """A request that was answered, with the lab's time. Secrets are masked."""

    number: int = Field(description="counts all requests, from 1 on")
    time: float = Field(description="when it was answered: seconds since the epoch, by the lab's clock")
    method: str = Field(description="the HTTP method")
    path: str = Field(description="as it was sent, with its query string")
    api: str = Field(description="the class of its message, `api-jobs` for a poll; empty if it reached no API")
    client: str = Field(description="the address that it came from")
    headers: dict[str, str] = Field(description="by name in lower case; values of one name are joined by commas")
    body: str | None = Field(description="the first 16 KiB; a note if it could not be read")
    account: str | None = Field(description="the uuid of the account, if the call needs a session")
    job: str | None = Field(description="the uuid of the job that it started or polled")
    status: int = Field(description="the HTTP status of the answer; 0 if faults let it have none")
    error: str | None = Field(description="the code of the error in the answer, such as SYS.1006")
    milliseconds: float = Field(description="how long the answer took")
    faults: list[str] = Field(description="the ids of the faults that it met")

    def text(self) -> str:
        """Return it in one line for people."""
        api = f" ({self.api})" if self.api else ""
        error = f" {self.error}" if self.error else ""
        faults = f", met {', '.join(self.faults)}" if self.faults else ""
        return f"#{self.number} {self.method} {self.path}{api} -> {self.status or 'no answer'}{error}{faults}"


class DifferenceShape(Shape):
    """A field in which a request differs."""

    field: str = Field(examples=["body.params.name"])
    expected: str = Field(examples=['"gold"'])
    got: str = Field(examples=['"silver"'])
    known: bool = Field(description="false: this part of the request was not kept, so it may be as expected")

    def text(self) -> str:
        """Return it in one line for people."""
        return f"{self.field}: expected {self.expected}, got {self.got}"


class NearMissShape(Shape):
    """A request that does not match, and why."""

    request: RequestShape
    differences: list[DifferenceShape] = Field(description="in what it differs, the weightiest first")

    def lines(self) -> list[str]:
        """Return it in indented lines for people."""
        lines = [f"  {self.request.text()}", *(f"    {one.text()}" for one in self.differences[:SHOWN])]
        more = len(self.differences) - SHOWN
        return [*lines, f"    and {more} more differences"] if more > 0 else lines


class SequenceShape(Shape):
    """How far the journal follows a sequence of matchers."""

    followed: bool = Field(description="whether each matcher has its request")
    requests: list[RequestShape] = Field(description="the requests of the first matchers, one each, in order")
    missing: int | None = Field(None, description="the number of the first matcher without a request, from 1 on")
    near_misses: list[NearMissShape] = Field([], description="the request that comes closest to that one")
    dropped: int = Field(description="older requests that the journal has dropped: one of them might have matched")
    text: str = Field("", description="why the sequence is not there, for people; empty if it is")
    last: int = Field(description="the number of the latest request, for `since`")


def request_shape(entry: Entry, epoch: float) -> RequestShape:
    """Return a row as it is shown; `epoch` is when the clock's monotonic time was 0."""
    headers: dict[str, str] = {}
    for name, value in entry.headers:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return RequestShape(
        number=entry.number,
        time=epoch + entry.ended,
        method=entry.method,
        path=entry.path,
        api=entry.api,
        client=entry.client,
        headers=headers,
        body=entry.body,
        account=entry.account,
        job=entry.job,
        status=entry.status,
        error=entry.error,
        milliseconds=round(entry.seconds * 1000, 3),
        faults=list(entry.faults),
    )


def near_miss_shape(entry: Entry, differences: Iterable[Difference], epoch: float) -> NearMissShape:
    """Return a row that does not match as it is shown."""
    shown = [
        DifferenceShape(field=one.field, expected=one.expected, got=one.got, known=one.known) for one in differences
    ]
    return NearMissShape(request=request_shape(entry, epoch), differences=shown)


def lines_of(requests: Sequence[RequestShape]) -> list[str]:
    """Return the first requests in indented lines for people."""
    lines = [f"  {one.text()}" for one in requests[:SHOWN]]
    return [*lines, f"  and {len(requests) - SHOWN} more"] if len(requests) > SHOWN else lines
