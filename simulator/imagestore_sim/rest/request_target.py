"""Read the target of a request as the servlet container and Spring do (wire-protocol 1.2, 1.7).

The container decodes the path, drops path parameters (`;…`) and dot segments, and finds the web application by the
result. Spring then compares that path with the one that was sent: where the sent path starts with it and continues, as
`/v1/zones/..` does (whose result is `/v1/`), Spring looks up the continuation only, and finds nothing. ZStack itself
reads the sent path, decoded: one with dot segments or path parameters matches no API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

from imagestore_sim.rest.errors import ContainerError, PlainError
from imagestore_sim.rest.leniency import Leniency

CONTEXT = "zstack"
VERSION = "v1"
LEGACY = "api"
REST_PATHS = f"/{CONTEXT}/{VERSION}/"
BAD_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")
REFUSED_ESCAPE = re.compile("%(?:2f|5c|00)", re.IGNORECASE)
FORBIDDEN = re.compile("[^!$-;=?-Z_a-z~]")
"""The characters that a target may have percent-encoded only."""
PARAMETERS = re.compile(";[^/]*")
SLASHES = re.compile("//+")
PLAIN = re.compile(r"/(?:[\w~!$&'()*+,=:@-]+/)*[\w~!$&'()*+,=:@-]*", re.ASCII)
"""A path that every reading leaves as it is: nothing to decode, no dot, no path parameter."""
Segments = tuple[str, ...]


class Place(Enum):
    """Which API answers a request."""

    REST = "rest"
    LEGACY = "legacy"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Target:
    """The API that a path leads to. `shown` is the path below the context, decoded, as error texts show it."""

    place: Place
    shown: str
    sent: str
    """The path below the context, as sent."""

    @property
    def segments(self) -> Segments:
        """Return the segments below the version. Repeated slashes count once; a final slash is an empty segment."""
        parts = self.shown.split("/")
        steps = [part for part in parts if part]
        return (*steps[1:], "") if parts[-1] == "" else tuple(steps[1:])


class Redirect(Exception):
    """The target is the context path without its slash: the container redirects to `location`."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


def read_target(raw_path: str, raw_query: str, leniency: Leniency) -> Target:
    """Return what a target leads to. Raise ContainerError 400, PlainError 404, or Redirect."""
    is_plain = PLAIN.fullmatch(raw_path) is not None
    if not is_plain:
        _check(raw_path)
    if not leniency.raw_query and (found := _forbidden(raw_query)) is not None:
        raise _invalid(found)
    if is_plain and raw_path.startswith(REST_PATHS):  # as nearly always
        sent = raw_path.removeprefix(f"/{CONTEXT}")
        return Target(Place.REST, sent, sent)
    normal = _normalized(unquote(PARAMETERS.sub("", raw_path)))
    if normal == f"/{CONTEXT}":
        raise Redirect(f"/{CONTEXT}/")
    if normal.startswith(f"/{CONTEXT}/"):
        sent = _below_context(raw_path)
        normal = normal.removeprefix(f"/{CONTEXT}")
    elif leniency.no_context:
        sent = raw_path
    else:
        return Target(Place.NOWHERE, unquote(raw_path), raw_path)
    target = Target(_place(_looked_up(sent, normal)), unquote(sent), sent)
    if target.place is Place.REST and target.shown.strip("/").partition("/")[0] != VERSION:
        raise PlainError(404, f"no api mapping to {target.shown}")
    return target


def _check(raw_path: str) -> None:
    if (found := _forbidden(raw_path)) is not None:
        raise _invalid(found)
    if BAD_ESCAPE.search(raw_path):
        raise ContainerError(400, "The path has a percent sign without two hex digits after it")
    if REFUSED_ESCAPE.search(raw_path):
        raise ContainerError(400, "An encoded slash, backslash or NUL is not allowed in a path")


def _forbidden(text: str) -> str | None:
    found = FORBIDDEN.search(text)
    return None if found is None else found[0]


def _invalid(character: str) -> ContainerError:
    text = f"Invalid character [{character}] found in the request target. RFC 7230 and RFC 3986 define valid ones"
    return ContainerError(400, text)


def _normalized(path: str) -> str:
    """Return a decoded path without empty and dot segments. Raise ContainerError 400 for one that leaves the root."""
    found: list[str] = []
    steps = path.split("/")
    for step in steps:
        if step == "..":
            if not found:
                raise ContainerError(400, "The path leads above the root")
            found.pop()
        elif step not in ("", "."):
            found.append(step)
    return "/" + "/".join(found) + ("/" if found and steps[-1] in ("", ".", "..") else "")


def _below_context(raw_path: str) -> str:
    """Return a path below the context as sent: what follows its shortest prefix that resolves to the context."""
    if raw_path.startswith(f"/{CONTEXT}/"):
        return raw_path.removeprefix(f"/{CONTEXT}")
    end = raw_path.find("/", 1)
    while end > 0:
        if unquote(PARAMETERS.sub("", raw_path[:end])).strip("/").split("/")[-1] == CONTEXT and (
            _normalized(unquote(PARAMETERS.sub("", raw_path[:end]))) == f"/{CONTEXT}"
        ):
            return raw_path[end:]
        end = raw_path.find("/", end + 1)
    return raw_path


def _looked_up(sent: str, normal: str) -> str:
    """Return the path for which Spring looks up a handler."""
    path = SLASHES.sub("/", unquote(PARAMETERS.sub("", sent)))
    if path == normal or not path.startswith(normal):
        return normal
    return path[len(normal) :]


def _place(path: str) -> Place:
    steps = path.strip("/").split("/")
    if path.startswith("/") and steps[0] == VERSION:
        return Place.REST
    if path.startswith("/") and steps[0] == LEGACY:
        return Place.LEGACY
    return Place.NOWHERE
