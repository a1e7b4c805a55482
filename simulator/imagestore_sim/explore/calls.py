"""Draws calls of ZStack's API from their declarations: each that is about storages, images or long jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from imagestore_sim.api import handlers_of
from imagestore_sim.api.fidelity import State, state_of
from imagestore_sim.api.queries import QueryMessage
from imagestore_sim.explore.values import NUMBERS, OPTIONAL
from imagestore_sim.rest.messages import CreateMessage, Message
from imagestore_sim.rest.parameters import Kind, Parameter
from imagestore_sim.rest.versions import DEFAULT

STORAGE, ZONE, IMAGE, LONG_JOB = "storage", "zone", "image", "long job"
KINDS_OF: Mapping[str, str] = {
    "BackupStorageVO": STORAGE,
    "ImageStoreBackupStorageVO": STORAGE,
    "ZoneVO": ZONE,
    "ImageVO": IMAGE,
    "LongJobVO": LONG_JOB,
}
"""What the name of a resource's type stands for in a story."""
KINDS_OF_PATHS: Mapping[str, str] = {"backup-storage": STORAGE, "images": IMAGE, "longjobs": LONG_JOB}
"""What `{uuid}` stands for in a path that begins so, where no rule says it."""
OF_STEPS = ("APIAddImageMsg",)
"""Calls that a step of their own makes."""
TEXTS: Mapping[str, Sequence[str]] = {
    "username": ("root",),
    "password": ("password",),
    "url": ("/Cloud_bs",),
    "name": ("gold", "silver"),
    "description": ("first", "second"),
}
"""Texts of parameters that a host or a person knows, by name."""
SHUNNED = frozenset(("resourceUuid", "tagUuids", "systemTags", "userTags", "sshPort", "importImages"))
"""Optional parameters that are never given: the steps give the uuid of what is made, the others make calls fail."""
WRONG = {"password": "wrong"}
"""Texts that no host takes. Only what adds a storage gives them: one that is there would never be Connected again."""
NOWHERE = "nowhere"
"""A host that there is not."""
MOVES = "hostname"
"""A storage whose record moves to another host need not be Connected again: only an add names a host."""
VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Known:
    """The names that a call may refer to, as far as a story has come."""

    hosts: Sequence[str]
    storages: Sequence[str]
    zones: Sequence[str]
    images: Sequence[str]
    free: Sequence[str] = ()
    """The hosts that have no storage."""
    near: Sequence[str] = ()
    """The host that something has happened to just now, if the next thing is to meet it as well."""
    long_jobs: Sequence[str] = ()

    def of(self, kind: str) -> Sequence[str]:
        """Return the names of a kind of resource."""
        names = {STORAGE: self.storages, ZONE: self.zones, IMAGE: self.images, LONG_JOB: self.long_jobs}
        return names[kind]


@cache
def drawable_calls() -> tuple[type[Message], ...]:
    """Return the messages that begin a job about storages, images or long jobs, and whose parameters are known."""
    found: list[type[Message]] = []
    for message, handler in handlers_of(DEFAULT).by_message.items():
        api = message.api
        if not (api.paths and _is_emulated(message, handler)) or api.sync or message.__name__ in OF_STEPS:
            continue
        required = [one for one in api.parameters if one.required]
        if _is_about_what_is_there(message, required) and all(_is_known(message, one) for one in required):
            found.append(message)
    return tuple(sorted(found, key=lambda message: message.__name__))


def draw_call(draws: Random, message: type[Message], known: Known, made: str) -> dict[str, Any]:
    """Return a `call` step: method, path, body, and `as` for what it makes, which is called `made`.

    Raise ValueError if there is nothing yet that it could be about.
    """
    api = message.api
    given = dict(_draw_parameters(draws, message, known))
    path = VARIABLE.sub(lambda match: str(given.pop(match[1])), api.paths[0])
    step: dict[str, Any] = {"method": api.method, "path": path}
    if api.method in ("POST", "PUT"):
        step["body"] = {api.body_key: given}
    elif given:
        step["path"] += "?" + "&".join(f"{name}={value}" for name, value in _pairs(given))
    if makes_storage(message):
        given["name"] = made
        step["as"] = made
    return step


def _is_emulated(message: type[Message], handler: object) -> bool:
    return state_of(message, handler) in (State.SAME, State.DEVIATES)


@cache
def drawable_reads() -> tuple[str, ...]:
    """Return the paths of the queries for storages, images and long jobs, without conditions."""
    emulated = (one for one, handler in handlers_of(DEFAULT).by_message.items() if _is_emulated(one, handler))
    paths = (one.api.paths[0] for one in emulated if issubclass(one, QueryMessage) and one.api.paths)
    return tuple(sorted(one for one in paths if one.split("/")[1] in KINDS_OF_PATHS))


def makes_storage(message: type[Message]) -> bool:
    """Return whether a call adds a storage."""
    return issubclass(message, CreateMessage) and any(one.name == MOVES for one in message.api.parameters)


def is_about_long_jobs(message: type[Message]) -> bool:
    """Return whether a call is about a long job."""
    return any(_kind_of(message, one) == LONG_JOB for one in message.api.parameters if one.required)


def _kind_of(message: type[Message], parameter: Parameter) -> str | None:
    """Return what kind of resource a parameter names, None if it names none that a story has."""
    if parameter.rule.resource is not None:
        return KINDS_OF.get(parameter.rule.resource)
    path = message.api.paths[0].split("/")
    return KINDS_OF_PATHS.get(path[1]) if parameter.name == "uuid" and "{uuid}" in path else None


def _is_about_what_is_there(message: type[Message], required: Sequence[Parameter]) -> bool:
    kinds = {_kind_of(message, one) for one in required}
    return bool(kinds & {STORAGE, IMAGE, LONG_JOB}) or any(one.name == MOVES for one in required)


def _is_known(message: type[Message], parameter: Parameter) -> bool:
    return (
        _kind_of(message, parameter) is not None
        or parameter.name in (*TEXTS, MOVES)
        or bool(parameter.rule.valid_values)
        or parameter.kind in (Kind.BOOLEAN, Kind.INTEGER, Kind.LONG)
    )


def _draw_parameters(draws: Random, message: type[Message], known: Known) -> Iterator[tuple[str, Any]]:
    for parameter in message.api.parameters:
        if parameter.required or (
            _is_known(message, parameter) and parameter.name not in (*SHUNNED, MOVES) and draws.random() < OPTIONAL
        ):
            yield parameter.name, _draw_parameter(draws, message, parameter, known)


def _draw_parameter(draws: Random, message: type[Message], parameter: Parameter, known: Known) -> Any:
    rule = parameter.rule
    if (kind := _kind_of(message, parameter)) is not None:
        names = known.of(kind)
        if not names:
            raise ValueError(f"there is no {kind} yet")
        one = f"${draws.choice(names)}"
        return [one] if parameter.kind is Kind.STRINGS else one
    if parameter.name == MOVES:
        return _draw_host(draws, known)
    if parameter.name in WRONG and makes_storage(message) and draws.random() < OPTIONAL:
        return WRONG[parameter.name]
    if parameter.name in TEXTS:
        return draws.choice(TEXTS[parameter.name])
    if rule.valid_values:
        one = draws.choice(rule.valid_values)
        return [one] if parameter.kind is Kind.STRINGS else one
    if parameter.kind is Kind.BOOLEAN:
        return draws.random() < 0.5
    least, most = rule.number_range or NUMBERS[:: len(NUMBERS) - 1]
    return draws.choice([one for one in (*NUMBERS, least, most) if least <= one <= most])


def _draw_host(draws: Random, known: Known) -> str:
    """Return the host of a new storage: rather one that has none, sometimes one that there is not."""
    if draws.random() < OPTIONAL / 3:
        return NOWHERE
    hosts = known.free if known.free and draws.random() > OPTIONAL else known.hosts
    near = [one for one in hosts if one in known.near]
    return draws.choice(near or hosts)


def _pairs(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        for one in value if isinstance(value, list) else (value,):
            yield name, one
