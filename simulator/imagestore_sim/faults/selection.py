"""Which requests a fault of the management plane meets: `when`, a filter and a choice among those that pass it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from pydantic import ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from imagestore_sim.globs import Glob, matches_glob
from imagestore_sim.plain_numbers import PlainNumbers

CHOICES = ("nth", "first", "every", "probability")


class Meets(StrEnum):
    """What a request has to be, for a kind of fault to count it."""

    REQUEST = "any request"
    QUERY = "a query"
    LATER_PAGE = "a query whose `start` is above 0"
    NEW_CONNECTION = "a request on a connection that was made after the fault was set"
    ASYNC_CALL = "a call that begins a job"
    CALL = "a call of an API"
    SESSION_CALL = "a call with a session"
    LOGIN = "a login"
    HOOK = "a post to a web hook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a selection sees of a request."""

    method: str
    path: str
    """As sent, with its query string."""
    client: str
    """The address that it came from."""
    user_agent: str
    connection: int = 0
    """The number of its connection, counted from 1 in this process."""
    api: str = ""
    """The class of its message, `api-jobs` for a poll; empty if it reached no API."""
    roles: frozenset[Meets] = frozenset((Meets.REQUEST,))
    account: tuple[str, ...] = ()
    """Uuid and name of the account that makes the call; nothing without a session."""
    storage_statuses: tuple[str, ...] = ()
    """The statuses of the backup storages that its parameters name."""

    def apis(self) -> tuple[str, str]:
        """Return the names of its API: the class of its message, and that without `API` and `Msg`."""
        return names_of(self.api)

    def paths(self) -> tuple[str, ...]:
        """Return its path as a glob may name it: with and without the query string, and the context `/zstack`."""
        bare = self.path.partition("?")[0]
        return self.path, bare, self.path.removeprefix("/zstack"), bare.removeprefix("/zstack")


class When(PlainNumbers):
    """Which requests a fault meets: those that match every glob, and among them at most one choice.

    Without a choice it meets all that match.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )

    api: Glob | None = Field(
        None,
        description="the class of the message, or that without `API` and `Msg`: `Add*`; `api-jobs` for polls",
        examples=["Query*", "AddImageStoreBackupStorage", "api-jobs"],
    )
    path: Glob | None = Field(
        None,
        description="the path, with or without its query string and `/zstack`",
        examples=["/v1/backup-storage*"],
    )
    method: Glob | None = Field(None, description="the HTTP method", examples=["GET", "POST", "PUT", "DELETE"])
    account: Glob | None = Field(
        None, description="uuid or name of the account that makes the call", examples=["admin"]
    )
    client: Glob | None = Field(
        None, description="the address that the request came from, or its `User-Agent`", examples=["*okhttp*"]
    )
    storage_status: Glob | None = Field(
        None,
        description="the status of a backup storage that the parameters of the request name by uuid",
        examples=["Connected", "Connecting", "Disconnected"],
    )
    nth: int | None = Field(None, ge=1, description="only this one of those that match, counted from 1", examples=[2])
    first: int | None = Field(
        None, ge=1, description="only that many of those that match, the first ones", examples=[1]
    )
    every: int | None = Field(
        None, ge=1, description="each that is a multiple of this: 5 is the 5th, the 10th, ...", examples=[5]
    )
    probability: float | None = Field(
        None, ge=0, le=1, description="each with this probability, drawn from the seed of the node", examples=[0.3]
    )

    @model_validator(mode="after")
    def _check_choices(self) -> When:
        given = [name for name in CHOICES if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"has {' and '.join(given)}; at most one of {', '.join(CHOICES)} is possible")
        return self

    def __str__(self) -> str:
        given = self.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
        return " ".join(f"{name} {value}" for name, value in given.items())

    def may_match(self, subject: Subject) -> bool:
        """Return whether a request matches the globs of its API, method and path."""
        return (
            _any(self.api, subject.apis())
            and _any(self.method and self.method.upper(), (subject.method,))
            and _any(self.path, subject.paths())
        )

    def matches(self, subject: Subject) -> bool:
        """Return whether a request matches every glob."""
        return (
            self.may_match(subject)
            and _any(self.client, (subject.client, subject.user_agent))
            and _any(self.account, subject.account)
            and _any(self.storage_status, subject.storage_statuses)
        )

    def names_one_of(self, apis: Iterable[str]) -> bool:
        """Return whether its glob matches one of these APIs, by the classes of their messages."""
        return any(_any(self.api, names_of(api)) for api in apis)

    @property
    def most_hits(self) -> int | None:
        """How many requests the choice can meet; None: it has no end."""
        return 1 if self.nth is not None else self.first


@dataclass(slots=True)
class Selector:
    """Chooses among the requests that match, in the order in which they come."""

    when: When
    random: Random
    matches: int = field(default=0)
    """How many have matched."""

    def takes(self, subject: Subject) -> bool:
        """Return whether the fault meets a request; count it if it matches."""
        if not self.when.matches(subject):
            return False
        self.matches += 1
        when = self.when
        if when.nth is not None:
            return self.matches == when.nth
        if when.first is not None:
            return self.matches <= when.first
        if when.every is not None:
            return self.matches % when.every == 0
        return when.probability is None or self.random.random() < when.probability


def names_of(api: str) -> tuple[str, str]:
    """Return how a glob may name an API: by the class of its message, and by that without `API` and `Msg`."""
    return api, api.removeprefix("API").removesuffix("Msg")


def _any(glob: str | None, texts: Iterable[str]) -> bool:
    return glob is None or matches_glob(glob, texts)
