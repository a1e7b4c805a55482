"""The requests that clients have made, asked of a lab in another process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imagestore_sim.lab_api.request_shapes import NearMissShape, RequestShape, lines_of
from imagestore_sim.testing.lab_connection import LabConnection, Refused

ANY: Mapping[str, object] = {}
DROPPED = "cannot know: the journal has dropped {} older requests, which may match"
UNDECIDED = "cannot know: {} requests may match, but their bodies or headers were not kept"


class RequestsOverHttp:
    """Finds, counts and awaits requests, and asserts what came. A matcher that is not valid is a ValueError."""

    def __init__(self, connection: LabConnection) -> None:
        self._connection = connection

    @property
    def last(self) -> int:
        """The number of the latest request, for `since`."""
        return int(self._ask("count", {})["last"])

    def clear(self) -> None:
        """Forget all requests."""
        self._connection.lab("DELETE", "/requests")

    def find(self, matcher: Mapping[str, object] = ANY, **fields: Any) -> list[RequestShape]:
        """Return the requests that match, the oldest first."""
        return _shapes(self._ask("find", {**matcher, **fields}))

    def count(self, matcher: Mapping[str, object] = ANY, **fields: Any) -> int:
        """Return how many requests match."""
        return int(self._ask("count", {**matcher, **fields})["count"])

    def near_misses(self, matcher: Mapping[str, object] = ANY, *, most: int = 3, **fields: Any) -> list[NearMissShape]:
        """Return the requests that come closest without matching, the closest first."""
        found = self._ask("near-misses", {"expected": {**matcher, **fields}, "most": most})["nearMisses"]
        return [NearMissShape.model_validate(one) for one in found]

    def wait(
        self, matcher: Mapping[str, object] = ANY, *, count: int = 1, within: float | str = 5.0, **fields: Any
    ) -> list[RequestShape]:
        """Return the requests that match as soon as there are `count`. Raise TimeoutError."""
        try:
            return _shapes(self._ask("wait", {**matcher, **fields, "count": count, "within": within}))
        except Refused as refusal:
            if refusal.status != 408:
                raise
            near = [NearMissShape.model_validate(one) for one in refusal.answer["nearMisses"]]
            raise TimeoutError(
                "\n".join([refusal.reason, *(line for one in near[:1] for line in one.lines())])
            ) from None

    def assert_received(
        self, matcher: Mapping[str, object] = ANY, *, times: int | None = None, **fields: Any
    ) -> list[RequestShape]:
        """Return the requests that match: at least one, or exactly `times`. Raise AssertionError."""
        __tracebackhide__ = True
        wanted = {**matcher, **fields}
        answer = self._ask("find", wanted)
        found, doubts = _shapes(answer), _doubts(answer)
        if found if times is None else len(found) == times and not doubts:
            return found
        expected = "a request" if times is None else f"{times} request{'' if times == 1 else 's'}"
        lines = [f"expected {expected}: {wanted}", *doubts, f"received {len(found)}"]
        raise AssertionError("\n".join([*lines, *(lines_of(found) or _closest(self.near_misses(wanted, most=1)))]))

    def assert_not_received(self, matcher: Mapping[str, object] = ANY, **fields: Any) -> None:
        """Raise AssertionError if a request matches, or if that cannot be known."""
        __tracebackhide__ = True
        wanted = {**matcher, **fields}
        answer = self._ask("find", wanted)
        found, doubts = _shapes(answer), _doubts(answer)
        if found or doubts:
            raise AssertionError(
                "\n".join([f"expected no request: {wanted}", *doubts, f"received {len(found)}", *lines_of(found)])
            )

    def assert_sequence(
        self,
        matchers: Sequence[Mapping[str, object]],
        *,
        strict: bool = False,
        among: Mapping[str, object] = ANY,
        **fields: Any,
    ) -> list[RequestShape]:
        """Return the requests that match the matchers, one each, in this order. Raise AssertionError."""
        __tracebackhide__ = True
        body = {"expected": [dict(one) for one in matchers], "strict": strict, "among": {**among, **fields}}
        answer = self._ask("sequence", body)
        if not answer["followed"]:
            raise AssertionError(answer["text"])
        return _shapes(answer)

    def _ask(self, call: str, body: Mapping[str, object]) -> Any:
        try:
            return self._connection.lab("POST", f"/requests/{call}", body)
        except Refused as refusal:
            if refusal.status != 400:
                raise
            raise ValueError(refusal.reason) from None


def _shapes(answer: Any) -> list[RequestShape]:
    return [RequestShape.model_validate(one) for one in answer["requests"]]


def _doubts(answer: Any) -> list[str]:
    given = ((DROPPED, answer["dropped"]), (UNDECIDED, answer["undecided"]))
    return [text.format(number) for text, number in given if number]


def _closest(near: Sequence[NearMissShape]) -> list[str]:
    return ["the closest:", *near[0].lines()] if near else []
