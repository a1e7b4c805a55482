"""What tests ask the journal of requests: find, count, wait, near misses and sequences; and the plugin's assertions.

`Lab.requests` is a RequestLog; `/lab/v1/requests` answers from another one. No answer takes back a request, and none
holds more than the journal does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from imagestore_sim.clock import Clock
from imagestore_sim.lab_api.json_path import Steps
from imagestore_sim.lab_api.request_comparison import Difference, Verdict, differences, verdict
from imagestore_sim.lab_api.request_matcher import RequestMatcher
from imagestore_sim.lab_api.request_sequence import find_run
from imagestore_sim.lab_api.request_shapes import (
    NearMissShape,
    RequestShape,
    SequenceShape,
    lines_of,
    near_miss_shape,
    request_shape,
)
from imagestore_sim.rest.journal import MOST_REQUESTS, Entry, Journal
from imagestore_sim.tasks import LARGE, by_size
from imagestore_sim.units import parse_seconds
from imagestore_sim.validation_errors import one_line
from imagestore_sim.virtual_clock import without_jumps

LONGEST_WAIT = 60.0
"""Real seconds."""
MOST_WAITING = 1000
"""Clients that may wait at once."""
MOST_NEAR_MISSES = 20
COMPARED_CLOSELY = 32
"""How many of the rows with the fewest differences are ranked by how different these are."""
ANY = RequestMatcher()
Given = RequestMatcher | Mapping[str, object]


class TooManyWait(Exception):
    """As many clients wait as can at once."""


class WaitedInVain(TimeoutError):
    """Fewer requests than expected came in time: `found`; `near` are the closest of the others."""

    def __init__(
        self, summary: str, matcher: RequestMatcher, found: list[RequestShape], near: list[NearMissShape]
    ) -> None:
        super().__init__("\n".join([f"{summary}: {matcher.text()}", *lines_of(found), *_closest(near)]))
        self.summary = summary
        self.found = found
        self.near = near


@dataclass(frozen=True, slots=True)
class Found:
    """The rows that match, the oldest first, and what cannot be known."""

    entries: list[Entry]
    undecided: int
    """Rows of which too little was kept to say whether they match."""
    dropped: int
    """Older rows that the journal has dropped for want of room."""

    def doubts(self) -> list[str]:
        """Return what cannot be known, in lines for people."""
        lines = []
        if self.dropped:
            lines.append(f"cannot know: the journal has dropped {self.dropped} older requests, which may match")
        if self.undecided:
            lines.append(f"cannot know: {self.undecided} requests may match, but their bodies or headers were not kept")
        return lines


class RequestLog:
    """Finds requests in the journal of a node. A matcher is given by keywords, as a mapping, or as a RequestMatcher."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    @property
    def last(self) -> int:
        """The number of the latest request, for `since`."""
        return self._journal.last

    def clear(self) -> None:
        """Forget all requests."""
        self._journal.clear()

    def find(self, matcher: Given = ANY, **fields: Any) -> list[RequestShape]:
        """Return the requests that match, the oldest first. Raise ValueError for a matcher that is not valid."""
        return self.shapes(self.search(as_matcher(matcher, fields)).entries)

    def count(self, matcher: Given = ANY, **fields: Any) -> int:
        """Return how many requests match. Raise ValueError."""
        return len(self.search(as_matcher(matcher, fields)).entries)

    def near_misses(self, matcher: Given = ANY, *, most: int = 3, **fields: Any) -> list[NearMissShape]:
        """Return the requests that come closest without matching, the closest first. Raise ValueError."""
        return self.closest(as_matcher(matcher, fields), most)

    @without_jumps
    async def wait(
        self, matcher: Given = ANY, *, count: int = 1, within: float | str = 5.0, **fields: Any
    ) -> list[RequestShape]:
        """Return the requests that match as soon as there are `count`, with those that came before the call.

        Raise TimeoutError after `within` (at most a minute) by the machine's clock, since clients live by that; its
        text names the closest request. Raise ValueError.
        """
        return await self.wait_for(as_matcher(matcher, fields), count, min(parse_seconds(within), LONGEST_WAIT))

    # Assertions

    def assert_received(self, matcher: Given = ANY, *, times: int | None = None, **fields: Any) -> list[RequestShape]:
        """Return the requests that match: at least one, or exactly `times`. Raise AssertionError and ValueError."""
        wanted = as_matcher(matcher, fields)
        found = self.search(wanted)
        number, doubts = len(found.entries), found.doubts()
        if number > 0 if times is None else number == times and not doubts:
            return self.shapes(found.entries)
        expected = "a request" if times is None else _requests(times)
        lines = [f"expected {expected}: {wanted.text()}", *doubts]
        lines.append(f"received {number}, among {_requests(len(self.in_scope(wanted)))}")
        if number:
            raise AssertionError("\n".join([*lines, *lines_of(self.shapes(found.entries))]))
        raise AssertionError("\n".join([*lines, *_closest(self.closest(wanted, 1))]))

    def assert_not_received(self, matcher: Given = ANY, **fields: Any) -> None:
        """Raise AssertionError if a request matches, or if that cannot be known. Raise ValueError."""
        wanted = as_matcher(matcher, fields)
        found = self.search(wanted)
        doubts = found.doubts()
        if found.entries or doubts:
            lines = [f"expected no request: {wanted.text()}", *doubts, f"received {len(found.entries)}"]
            raise AssertionError("\n".join([*lines, *lines_of(self.shapes(found.entries))]))

    def assert_sequence(
        self, matchers: Sequence[Given], *, strict: bool = False, among: Given = ANY, **fields: Any
    ) -> list[RequestShape]:
        """Return the requests that match the matchers, one each, in this order. Raise AssertionError and ValueError.

        Only requests that match `among` (or the keywords) count. Others may come between them, unless it is `strict`.
        """
        wanted = [as_matcher(one, {}) for one in matchers]
        followed = self.follow(wanted, as_matcher(among, fields), strict=strict)
        if not followed.followed:
            raise AssertionError(followed.text)
        return followed.requests

    # What the routes use as well. All of it reads the journal's masked rows.

    def search(self, matcher: RequestMatcher) -> Found:
        """Return the rows that match. Raise TooMuchWork."""
        return self._search(matcher, self.in_scope(matcher))

    def _search(self, matcher: RequestMatcher, rows: Sequence[Entry]) -> Found:
        steps, found, undecided = Steps(), [], 0
        for entry in rows:
            match verdict(matcher, entry, steps):
                case Verdict.YES:
                    found.append(entry)
                case Verdict.UNKNOWN:
                    undecided += 1
        return Found(found, undecided, self.dropped(matcher))

    async def search_in_thread(self, matcher: RequestMatcher) -> Found:
        """Do the same, in a thread if it reads bodies. Raise TooMuchWork."""
        rows = self.in_scope(matcher)
        return await by_size(cost(rows, [matcher]), self._search, matcher, rows)

    def in_scope(self, matcher: RequestMatcher) -> list[Entry]:
        """Return the rows that are recent enough for a matcher, the oldest first."""
        return list(self._journal.since(matcher.since, self._monotonic(matcher)))

    def dropped(self, matcher: RequestMatcher) -> int:
        """Return how many rows that were recent enough for a matcher the journal has dropped."""
        return self._journal.dropped_since(matcher.since, self._monotonic(matcher))

    def closest(self, matcher: RequestMatcher, most: int, rows: Sequence[Entry] | None = None) -> list[NearMissShape]:
        """Return the near misses of a matcher, the closest first. Raise TooMuchWork."""
        ranked = _ranked(matcher, self.in_scope(matcher) if rows is None else rows)
        epoch = self._epoch()
        return [near_miss_shape(entry, found, epoch) for entry, found in ranked[:most]]

    async def closest_in_thread(self, matcher: RequestMatcher, most: int) -> list[NearMissShape]:
        """Do the same, in a thread if it reads bodies. Raise TooMuchWork."""
        rows = self.in_scope(matcher)
        return await by_size(cost(rows, [matcher]), self.closest, matcher, most, rows)

    def follow(
        self,
        matchers: Sequence[RequestMatcher],
        among: RequestMatcher,
        *,
        strict: bool,
        rows: Sequence[Entry] | None = None,
    ) -> SequenceShape:
        """Return how far the rows that match `among` follow the matchers. Raise TooMuchWork."""
        found = self._search(among, self.in_scope(among) if rows is None else rows)
        run = find_run(matchers, found.entries, strict=strict)
        requests = self.shapes(run.met)
        if run.missing is None:
            return SequenceShape(followed=True, requests=requests, dropped=found.dropped, last=self.last)
        near = self.closest(run.missing, 1, run.rest[:1] if strict else run.rest)
        lines = [
            f"request {len(requests) + 1} of {len(matchers)} of the sequence is missing: {run.missing.text()}",
            *found.doubts(),
            *(f"  {number}. {one.text()}" for number, one in enumerate(requests, 1)),
            *_instead(near, requests, strict=strict),
        ]
        if run.too_early:
            lines += ["it came, but too early:", *lines_of(self.shapes(run.too_early))]
        return SequenceShape(
            followed=False,
            requests=requests,
            missing=len(requests) + 1,
            near_misses=near,
            dropped=found.dropped,
            text="\n".join(lines),
            last=self.last,
        )

    def shapes(self, entries: Sequence[Entry]) -> list[RequestShape]:
        """Return rows as they are shown."""
        epoch = self._epoch()
        return [request_shape(entry, epoch) for entry in entries]

    async def wait_for(self, matcher: RequestMatcher, count: int, within: float) -> list[RequestShape]:
        """Return the requests that match as soon as there are enough. Raise WaitedInVain, TooManyWait, TooMuchWork."""
        matcher = self._admitted(matcher)
        found: list[Entry] = []
        try:
            async with asyncio.timeout(within):  # real: the client waits in real time
                await self._collect(matcher, count, found)
        except TimeoutError:
            first = f"{len(found)} of {count} requests came within {within:g} s"
            near = await self.closest_in_thread(matcher, 1)
            raise WaitedInVain(first, matcher, self.shapes(found), near) from None
        return self.shapes(found)

    async def next_of(self, matcher: RequestMatcher, within: float) -> list[Entry]:
        """Return the rows that match as soon as there is one; none after `within` real seconds. Raise TooManyWait."""
        found: list[Entry] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(within):  # real: the client waits in real time
                await self._collect(self._admitted(matcher), 1, found)
        return found

    def _admitted(self, matcher: RequestMatcher) -> RequestMatcher:
        """Return a matcher whose `since` is no number from before a reset. Raise TooManyWait."""
        if self._journal.watchers >= MOST_WAITING:
            raise TooManyWait(f"{MOST_WAITING} clients wait for requests already")
        return matcher.model_copy(update={"since": 0}) if matcher.since > self.last else matcher

    async def _collect(self, matcher: RequestMatcher, count: int, found: list[Entry]) -> None:
        """Add rows that match, old ones and then new ones, until there are enough."""
        cheap, after, came = matcher.without_body(), self._monotonic(matcher), asyncio.Event()
        rows = deque(self.in_scope(matcher), MOST_REQUESTS)

        def is_candidate(entry: Entry) -> bool:
            is_after = after is None or entry.ended > after
            return is_after and verdict(cheap, entry, Steps()) is not Verdict.NO

        def add(entry: Entry) -> None:
            rows.append(entry)
            came.set()

        with self._journal.watching(cheap.model_dump_json(), is_candidate, add):
            while True:
                new = list(rows)
                rows.clear()
                found += (await by_size(cost(new, [matcher]), self._search, matcher, new)).entries
                if len(found) >= count:
                    return
                if not rows:
                    came.clear()
                    await came.wait()

    def _monotonic(self, matcher: RequestMatcher) -> float | None:
        return None if matcher.after is None else matcher.after - self._epoch()

    def _epoch(self) -> float:
        return self._clock.time() - self._clock.monotonic()


def as_matcher(given: Given, fields: Mapping[str, object]) -> RequestMatcher:
    """Return a matcher with fields added. Raise ValueError in one line."""
    values: dict[str, object] = {
        **(given.model_dump(exclude_unset=True) if isinstance(given, RequestMatcher) else given),
        **fields,
    }
    try:
        return RequestMatcher.model_validate(values)
    except ValidationError as error:
        known = RequestMatcher.model_fields
        raise ValueError(one_line(error, known, "the matcher", RequestMatcher, values)) from None


def cost(rows: Sequence[Entry], matchers: Sequence[RequestMatcher]) -> int:
    """Return a number of bytes that says whether matchers are to be applied in a thread, as for `by_size`."""
    if any(one.json_path for one in matchers) or len(rows) * len(matchers) > MOST_REQUESTS:
        return LARGE
    return sum(len(one.body or "") for one in rows) * len(matchers) if any(one.body for one in matchers) else 0


def _requests(number: int) -> str:
    return f"{number} request{'' if number == 1 else 's'}"


def _closest(near: Sequence[NearMissShape]) -> list[str]:
    return ["the closest:", *near[0].lines()] if near else []


def _instead(near: Sequence[NearMissShape], met: Sequence[RequestShape], *, strict: bool) -> list[str]:
    """Return what came where a request of a sequence is missing, in lines for people."""
    where = f"after #{met[-1].number}" if met else "at all"
    if not near:
        return [f"no request came {where}"]
    return [f"what came next {where}:" if strict and met else f"the closest {where}:", *near[0].lines()]


def _ranked(matcher: RequestMatcher, rows: Sequence[Entry]) -> list[tuple[Entry, list[Difference]]]:
    """Return the rows that do not match, with their differences, the closest first; of equal ones the latest."""
    steps = Steps()
    compared = [(entry, list(differences(matcher, entry, steps))) for entry in reversed(rows)]
    compared = sorted((one for one in compared if one[1]), key=lambda one: _distance(one[1]))
    close = sorted(
        compared[:COMPARED_CLOSELY],
        key=lambda one: (_distance(one[1]), sum(found.weight for found in one[1])),
    )
    return close + compared[COMPARED_CLOSELY:]


def _distance(found: Sequence[Difference]) -> int:
    """Return how far a row is off: what was called weighs more than how, and a body that is missing more than a part.

    Members of headers, query string and body count as one field together.
    """
    fields = {one.field if one.field == "body" else one.field.partition(".")[0] + "." for one in found}
    return sum(2 if field in ("method.", "path.", "api.", "body") else 1 for field in fields)
