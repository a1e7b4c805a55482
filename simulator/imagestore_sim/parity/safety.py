"""What a call of the corpus does to the node: it follows from the API that the call reaches, not from its verb.

ZStack ignores the verb where a path has only one API: `GET /global-configurations/actions` resets the global
configuration.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache

from imagestore_sim.api import all_handlers
from imagestore_sim.parity.corpus import Case
from imagestore_sim.rest.binding import parse_body
from imagestore_sim.rest.errors import ContainerError, PlainError
from imagestore_sim.rest.leniency import STRICT
from imagestore_sim.rest.messages import Message
from imagestore_sim.rest.request_target import Place, Redirect, read_target
from imagestore_sim.rest.routing import Router

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
READING = ("APIQuery", "APIGet", "APIIs", "APIValidate", "APIZQL")
UNTOUCHED = (
    *("APILogIn", "APILogOut", "APIUpdateGlobalConfig", "APIResetGlobalConfig"),
    *("APICreateWebhook", "APIAddImage", "APIAddSftp"),
)
"""APIs that are never called: failed logins lock accounts, options belong to the node, a web hook without a receiver
fails the calls of others, and storages and images need hosts."""
DEFAULT_ZONE = b'"isDefault"'
"""A member of a body that may make another zone the default one."""


class Effect(IntEnum):
    """What a call may do."""

    READS = 0
    WRITES = 1
    UNKNOWN = 2
    """Not sent: another version may do anything with it, or it would change records of others."""


def effect_of(case: Case, target: str, body: bytes | None) -> Effect:
    """Return what a call may do; `target` and `body` have their variables filled in."""
    try:
        message = _message(case.method, target, body)
    except (PlainError, ContainerError, Redirect):
        return _effect_of_an_error(case)
    if message is None:
        return _effect_of_an_error(case)
    name = message.__name__
    if name.startswith(UNTOUCHED) or DEFAULT_ZONE in (body or b""):
        return Effect.UNKNOWN
    return Effect.READS if message.api.sync and name.startswith(READING) else Effect.WRITES


def _effect_of_an_error(case: Case) -> Effect:
    """Return what a call may do that reaches no API here: it reads only if its verb is safe and ZStack refused it."""
    refused = case.answers is not None and all(answer.status >= 400 for answer in case.answers)
    return Effect.READS if refused and case.method in SAFE_METHODS else Effect.UNKNOWN


def _message(method: str, target: str, body: bytes | None) -> type[Message] | None:
    raw_path, _, raw_query = target.partition("?")
    found = read_target(raw_path, raw_query, STRICT)
    if found.place is not Place.REST:
        return None
    slot = _router().find(found.segments, found.shown)
    return slot.choose(method, raw_path, parse_body(body or b"")).message


@cache
def _router() -> Router:
    return Router(all_handlers().by_message, STRICT)
