"""Which API a request means: by path, then by method or by the action's key in the body (wire-protocol 1.2, 1.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imagestore_sim.rest.errors import ContainerError, PlainError
from imagestore_sim.rest.leniency import LENIENT, Leniency
from imagestore_sim.rest.messages import Message
from imagestore_sim.rest.request_target import Segments

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An API on one of its paths."""

    message: type[Message]
    path: Segments


@dataclass(frozen=True, slots=True)
class Slot:
    """The APIs that share the shape of a path, and the values that a request's path has in its variable places."""

    candidates: tuple[Candidate, ...]
    path: Segments
    shown: str
    """The path as error texts tell it: decoded, without the context."""

    def choose(self, method: str, raw_path: str, body: Mapping[str, object] | None) -> Candidate:
        """The one API that is meant. Raises PlainError; where there is but one, the method does not matter."""
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
            raise PlainError(500, "")  # ZStack stumbles over the absent body, and its exception has no text
        for candidate in self.candidates:
            if candidate.message.api.action in body:  # of whatever method the API is
                return candidate
        raise PlainError(400, f"the body doesn't contain action mapping to the URL[{self.shown}]")

    def variables(self, candidate: Candidate) -> dict[str, str]:
        """The values of the path's variables, by the names that this API gives them."""
        pairs = zip(candidate.path, self.path, strict=True)
        return {name[1:-1]: value for name, value in pairs if _is_variable(name)}


class Router:
    """All APIs by the shape of their paths; a literal path always beats one with a variable."""

    def __init__(self, messages: Iterable[type[Message]], leniency: Leniency = LENIENT) -> None:
        self._literal: dict[Segments, list[Candidate]] = defaultdict(list)
        self._variable: dict[Segments, list[Candidate]] = defaultdict(list)
        for message in messages:
            for path in message.api.paths if leniency.paid_apis or not message.api.paid else ():
                self._add(Candidate(message, tuple(path.strip("/").split("/"))))
        self._variable_places: dict[int, dict[frozenset[int], None]] = defaultdict(dict)
        for shape in sorted(self._variable, key=lambda shape: shape.count("")):
            places = frozenset(index for index, segment in enumerate(shape) if segment == "")
            self._variable_places[len(shape)][places] = None

    def _add(self, candidate: Candidate) -> None:
        shape = tuple("" if _is_variable(one) else one for one in candidate.path)
        (self._variable if "" in shape else self._literal)[shape].append(candidate)

    def find(self, path: Segments, shown: str) -> Slot:
        """The APIs on a path given below the version. Raises PlainError 404."""
        literal = self._literal.get(path)
        if literal is not None:
            return Slot(tuple(literal), path, shown)
        for places in self._variable_places.get(len(path), ()) if "" not in path else ():
            shape = tuple(["" if index in places else segment for index, segment in enumerate(path)])
            if shape in self._variable:
                return Slot(tuple(self._variable[shape]), path, shown)
        raise PlainError(404, f"no api mapping to {shown}")


def check_method(method: str) -> None:
    """Raises ContainerError for a method that reaches no API: OPTIONS is answered, the others are refused."""
    if method not in METHODS:
        status = 200 if method == "OPTIONS" else 405
        raise ContainerError(status, f"Request method '{method}' not supported", allow=", ".join((*METHODS, "OPTIONS")))


def _is_variable(segment: str) -> bool:
    return segment.startswith("{")
