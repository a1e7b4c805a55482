"""Find the API of a request: by path, then by method or by the action's key in the body (wire-protocol 1.2, 1.3)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from imagestore_sim.rest.errors import ContainerError, PlainError
from imagestore_sim.rest.leniency import LENIENT, Leniency
from imagestore_sim.rest.messages import Declared, LateMessage, Message, made
from imagestore_sim.rest.request_target import Segments

VARIABLE = "{}"
"""What stands for a variable in the shape of a path."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An API, on one of its paths."""

    declared: Declared
    path: Segments

    @property
    def message(self) -> type[Message]:
        """Its message. The class of a late one is made now."""
        return made(self.declared)


@dataclass(frozen=True, slots=True)
class PathMatch:
    """The APIs whose paths have the same shape, and the path of a request that matches them."""

    candidates: tuple[Candidate, ...]
    path: Segments
    shown: str
    """The path as error texts show it: decoded, without the context."""

    def choose(self, method: str, raw_path: str, body: Mapping[str, object] | None) -> Candidate:
        """Return the API for a method and body. Raise PlainError. A single candidate is chosen whatever the method."""
        if len(self.candidates) == 1:
            return self.candidates[0]
        if method == "PUT":
            return self._by_action(body)
        names = {"POST": "creational", "GET": "query", "DELETE": "delete"}
        if method not in names:
            raise PlainError(405, f"The method[{method}] is not allowed for the path[{raw_path}]")
        for candidate in self.candidates:
            if candidate.message.api.method == method:
                return candidate
        raise PlainError(500, f"No {names[method]} API found for the path[{raw_path}]")

    def _by_action(self, body: Mapping[str, object] | None) -> Candidate:
        if body is None:
            raise PlainError(500, "")  # ZStack fails with a NullPointerException, which has no text
        for candidate in self.candidates:
            if candidate.message.api.action in body:  # whatever the method of the API
                return candidate
        raise PlainError(400, f"the body doesn't contain action mapping to the URL[{self.shown}]")

    def variables(self, candidate: Candidate) -> dict[str, str]:
        """Return the values of the path's variables, by their names in this API."""
        pairs = zip(candidate.path, self.path, strict=True)
        return {name[1:-1]: value for name, value in pairs if _is_variable(name)}


class Router:
    """All APIs by the shape of their paths. A literal path takes precedence over one with variables."""

    def __init__(self, messages: Iterable[Declared], leniency: Leniency = LENIENT) -> None:
        self._literal: dict[Segments, list[Candidate]] = defaultdict(list)
        self._variable: dict[Segments, list[Candidate]] = defaultdict(list)
        self._partly_variable: dict[re.Pattern[str], list[Candidate]] = defaultdict(list)
        for message in messages:
            api = message if isinstance(message, LateMessage) else message.api
            for path in api.paths if leniency.paid_apis or not api.paid else ():
                self._add(path.removeprefix("/"), message)
        self._variable_places: dict[int, dict[frozenset[int], None]] = defaultdict(dict)
        for shape in sorted(self._variable, key=lambda shape: shape.count(VARIABLE)):
            places = frozenset(index for index, segment in enumerate(shape) if segment == VARIABLE)
            self._variable_places[len(shape)][places] = None

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, messages: tuple[Declared, ...], leniency: Leniency = LENIENT) -> Router:
        """Return the router of these APIs. It is made once in a process, since none changes."""
        return cls(messages, leniency)

    def _add(self, path: str, message: Declared) -> None:
        segments = tuple(path.split("/"))
        candidate = Candidate(message, segments)
        if "{" not in path:
            self._literal[segments].append(candidate)
        elif "{" in path[1:].replace("/{", ""):
            self._partly_variable[_pattern(segments)].append(candidate)
        else:
            self._variable[tuple([VARIABLE if _is_variable(one) else one for one in segments])].append(candidate)

    def find(self, path: Segments, shown: str) -> PathMatch:
        """Return the APIs on a path below the version. Raise PlainError 404 if none matches."""
        literal = self._literal.get(path)
        if literal is not None:
            return PathMatch(tuple(literal), path, shown)
        for places in self._variable_places.get(len(path), ()):
            shape = tuple([VARIABLE if index in places else segment for index, segment in enumerate(path)])
            if shape in self._variable and all(path[index] for index in places):
                return PathMatch(tuple(self._variable[shape]), path, shown)
        for pattern, candidates in self._partly_variable.items():
            if pattern.fullmatch("/".join(path)):
                return PathMatch(tuple(candidates), path, shown)
        raise PlainError(404, f"no api mapping to {shown}")


def check_method(method: str) -> None:
    """Raise ContainerError for a method that reaches no API: 200 for OPTIONS, 405 for any other."""
    if method not in METHODS:
        status = 200 if method == "OPTIONS" else 405
        raise ContainerError(status, f"Request method '{method}' not supported", allow=", ".join((*METHODS, "OPTIONS")))


def _pattern(path: Segments) -> re.Pattern[str]:
    """Return a pattern of a path with a variable that is only part of a segment."""
    parts = re.split(r"\{\w+\}", "/".join(path))
    return re.compile("[^/]+".join(map(re.escape, parts)))


def _is_variable(segment: str) -> bool:
    return segment.startswith("{")
