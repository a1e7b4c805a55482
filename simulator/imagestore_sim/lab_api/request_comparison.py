"""Compare rows of the journal with a matcher: whether they match, and in what they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

import orjson

from imagestore_sim.globs import matches_glob
from imagestore_sim.lab_api.json_path import Steps, selects
from imagestore_sim.lab_api.request_matcher import RequestMatcher
from imagestore_sim.rest.journal import MOST_HEADERS, UNREADABLE, Entry

LONGEST_SHOWN = 200
LONGEST_COMPARED = 200
NONE = "none"


class Verdict(Enum):
    """Whether a row matches."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """All that was kept of it matches, but the rest was not kept."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that a matcher wants otherwise."""

    field: str
    """Such as `method`, `headers.content-type` or `body.params.name`."""
    expected: str
    got: str
    known: bool = True
    """False: that part of the request was not kept, so it may be as expected."""

    @property
    def weight(self) -> float:
        """Return how different it is: 0 for nearly the same, 1 for nothing in common."""
        expected, got = self.expected[:LONGEST_COMPARED], self.got[:LONGEST_COMPARED]
        return 1 - SequenceMatcher(None, expected, got, autojunk=False).ratio()


def verdict(matcher: RequestMatcher, entry: Entry, steps: Steps) -> Verdict:
    """Return whether a row matches, whatever its number and time. Raise TooMuchWork."""
    found = Verdict.YES
    for difference in differences(matcher, entry, steps):
        if difference.known:
            return Verdict.NO
        found = Verdict.UNKNOWN
    return found


def differences(matcher: RequestMatcher, entry: Entry, steps: Steps) -> Iterator[Difference]:
    """Yield each field in which a row differs, the cheapest to compare first. Raise TooMuchWork."""
    yield from _line(matcher, entry)
    if matcher.headers:
        yield from _headers(matcher.headers, entry)
    if matcher.query:
        yield from _query(matcher.query, entry)
    if matcher.is_costly:
        yield from _body(matcher, entry, steps)


def apis_of(entry: Entry) -> tuple[str, ...]:
    """Return the names of the API of a row: the class of its message, and that without `API` and `Msg`."""
    return entry.api.removeprefix("API").removesuffix("Msg"), entry.api


def paths_of(entry: Entry) -> tuple[str, ...]:
    """Return the path of a row as a glob may name it: with and without the query string, and `/zstack`."""
    bare = entry.path.partition("?")[0]
    return bare, entry.path, bare.removeprefix("/zstack"), entry.path.removeprefix("/zstack")


def _line(matcher: RequestMatcher, entry: Entry) -> Iterator[Difference]:
    yield from _text("method", matcher.method, (entry.method,))
    if matcher.status is not None and not _has_status(matcher.status, str(entry.status)):
        yield Difference("status", matcher.status, str(entry.status))
    if matcher.path is not None:
        shown = entry.path if "?" in matcher.path else paths_of(entry)[0]
        yield from _text("path", matcher.path, paths_of(entry), shown=shown)
    yield from _text("api", matcher.api, apis_of(entry))
    yield from _text("account", matcher.account, (entry.account,))
    agents = [value for name, value in entry.headers if name == "user-agent"]
    yield from _text("client", matcher.client, (entry.client, *agents), shown=" ".join((entry.client, *agents)))
    yield from _text("error", matcher.error, (entry.error,))
    yield from _text("job", matcher.job, (entry.job,))
    yield from _text("fault", matcher.fault, entry.faults, shown=", ".join(entry.faults))


def _has_status(expected: str, status: str) -> bool:
    return status[:1] == expected[0] if expected.endswith("xx") else status == expected


def _text(
    field: str, glob: str | None, texts: Sequence[str | None], *, shown: str | None = None, known: bool = True
) -> Iterator[Difference]:
    """Yield a difference unless the glob matches one of the texts."""
    if glob is None or matches_glob(glob, (text for text in texts if text)):
        return
    got = shown if shown is not None else next((text for text in texts if text), "")
    yield Difference(field, _cut(glob), _cut(got) or NONE, known)


def _headers(expected: Mapping[str, str | None], entry: Entry) -> Iterator[Difference]:
    known = len(entry.headers) < MOST_HEADERS
    for name, glob in expected.items():
        values = [value for other, value in entry.headers if other == name]
        yield from _values(f"headers.{name}", glob, values, known=known or bool(values))


def _values(field: str, glob: str | None, values: Sequence[str], *, known: bool = True) -> Iterator[Difference]:
    """Yield a difference unless the glob matches one of the values, or, without a glob, there are none."""
    shown = ", ".join(values)
    if glob is not None:
        if not values or not matches_glob(glob, values):
            yield Difference(field, _cut(glob), _cut(shown) if values else NONE, known)
    elif values or not known:
        yield Difference(field, NONE, _cut(shown), known)


def _query(expected: Mapping[str, list[str] | None], entry: Entry) -> Iterator[Difference]:
    given = parse_qsl(entry.path.partition("?")[2], keep_blank_values=True)
    for name, globs in expected.items():
        values = [value for other, value in given if other == name]
        for glob in globs if globs is not None else (None,):
            yield from _values(f"query.{name}", glob, values)


# Bodies


def _body(matcher: RequestMatcher, entry: Entry, steps: Steps) -> Iterator[Difference]:
    if entry.body is not None and not entry.body_is_whole:
        known = entry.body == UNREADABLE  # what is no JSON object has none of these members
        got = entry.body if entry.body.startswith("(not kept") else "(not kept as a whole)"
        wanted = "a JSON object" if matcher.body is None else _shown(matcher.body)
        yield Difference("body", wanted, got, known)
        return
    body = None if entry.body is None else _parsed(entry.body)
    if matcher.body is not None:
        if body is None:
            yield Difference("body", _shown(matcher.body), NONE)
        else:
            yield from _json("body", matcher.body, body)
    for path in matcher.json_path or ():
        if body is None or not selects(path, body, steps):
            yield Difference(
                "jsonPath", f"{path} to select something", NONE if body is None else f"body {_shown(body)}"
            )


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # NaN, which a lenient node reads
        return json.loads(text)


def _json(place: str, expected: Any, got: Any) -> Iterator[Difference]:
    """Yield each member that is expected otherwise."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for name, value in expected.items():
            if value is not None or got.get(name) is not None:
                yield from _member(f"{place}.{name}", value, got, name)
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for number, value in enumerate(expected):
            yield from _json(f"{place}[{number}]", value, got[number])
    elif not _same(expected, got):
        yield Difference(place, _shown(expected), _shown(got))


def _member(place: str, expected: Any, got: Mapping[str, Any], name: str) -> Iterator[Difference]:
    if name in got:
        yield from _json(place, expected, got[name])
    else:
        yield Difference(place, _shown(expected), NONE)


def _same(expected: object, got: object) -> bool:
    """Return whether two JSON values are equal; true is not 1."""
    return isinstance(expected, bool) == isinstance(got, bool) and expected == got


def _shown(value: object) -> str:
    return _cut(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
