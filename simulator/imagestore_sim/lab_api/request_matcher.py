"""Which requests of the journal are meant: the one declaration that find, count, wait and the assertions share.

A matcher is applied to the row as it is kept, with its secrets masked: no answer depends on a secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from imagestore_sim.globs import Glob, matches_glob, sample_of
from imagestore_sim.lab_api.json_path import check_json_path
from imagestore_sim.lab_api.routes import Moment, Shape
from imagestore_sim.masking import MASK, masked_json, masked_path, masked_text
from imagestore_sim.rest.journal import MOST_BODY_BYTES, SCHEMES, masked_header

MOST_NAMES = 32
"""Headers, or parameters, that a matcher may name."""
MOST_DEPTH = 32
"""Levels of a body that a matcher may have."""
Path = str | int
JsonPath = Annotated[str, Field(min_length=1), AfterValidator(check_json_path)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


ONE_OR_SEVERAL = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Globs = Annotated[
    list[Glob], BeforeValidator(_listed), Field(min_length=1, max_length=16), WithJsonSchema(ONE_OR_SEVERAL)
]
JsonPaths = Annotated[
    list[JsonPath],
    BeforeValidator(_listed),
    Field(min_length=1, max_length=8),
    WithJsonSchema(ONE_OR_SEVERAL),
]
Status = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
    Field(pattern=r"^([1-5](xx|[0-9][0-9])|0)$"),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^([1-5](xx|[0-9][0-9])|0)$"}]}),
]


Method = Annotated[Glob, AfterValidator(str.upper)]


class RequestMatcher(Shape):
    """Which requests are meant: those that have all that is given. Strings are globs, except in `body`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"api": "AddImageStore*", "status": 202, "body": {"params": {"name": "gold"}}},
                {"path": "/v1/backup-storage", "query": {"q": ["name=gold"]}, "headers": {"User-Agent": "Go-*"}},
                {"jsonPath": "$.params.systemTags[?@ == 'remote']", "error": "*", "since": 120},
            ]
        }
    )

    method: Method | None = Field(None, description="the HTTP method, in upper or lower case", examples=["POST"])
    path: Glob | None = Field(
        None,
        description="the path, with or without its query string and `/zstack`",
        examples=["/zstack/v1/backup-storage/*"],
    )
    api: Glob | None = Field(
        None,
        description="the class of the message, with or without `API` and `Msg`; `api-jobs` for polls",
        examples=["AddImageStore*"],
    )
    account: Glob | None = Field(None, description="the uuid of the account that made the call")
    client: Glob | None = Field(None, description="the address that it came from, or its `User-Agent`")
    status: Status | None = Field(
        None, description="the HTTP status of the answer, or its class", examples=[503, "5xx"]
    )
    error: Glob | None = Field(
        None, description="the code of the error in the answer; `*` for any", examples=["SYS.1006"]
    )
    headers: dict[str, Glob | None] = Field(
        {},
        max_length=MOST_NAMES,
        description="headers, by name in upper or lower case; null: there is none of that name",
        examples=[{"Content-Type": "application/json*", "X-Job-UUID": None}],
    )
    query: dict[str, Globs | None] = Field(
        {},
        max_length=MOST_NAMES,
        description="parameters of the query string; each glob has to match a value; null: there is none of that name",
        examples=[{"q": ["name=gold", "status=*"], "limit": None}],
    )
    body: dict[str, JsonValue] | None = Field(
        None,
        description="members that the body has to have, with these values, at any depth; others may be there too. "
        "Arrays have as many elements. null: the member is null or not there",
        examples=[{"params": {"name": "gold"}}],
    )
    json_path: JsonPaths | None = Field(
        None,
        description="JSONPaths (RFC 9535, without `match` and `search`); each has to select something in the body",
        examples=["$.params.systemTags[?@ == 'remote']"],
    )
    job: Glob | None = Field(
        None, description="the uuid of the job that it started or polled, which is the `correlation` of its events"
    )
    fault: Glob | None = Field(None, description="the id of a fault that it met", examples=["answer_lost-1"])
    since: int = Field(0, ge=0, description="only those after the one with this number")
    after: Moment | None = Field(
        None, description="only those answered after this time: seconds since the epoch, by the lab's clock"
    )

    @field_validator("headers")
    @classmethod
    def _in_lower_case(cls, headers: dict[str, str | None]) -> dict[str, str | None]:
        return {name.lower(): glob for name, glob in headers.items()}

    @model_validator(mode="after")
    def _check_masks(self) -> RequestMatcher:
        check_masks(self)
        return self

    @property
    def is_costly(self) -> bool:
        """Whether it reads bodies."""
        return self.body is not None or self.json_path is not None

    def without_body(self) -> RequestMatcher:
        """Return a matcher of all that is cheap to compare."""
        return self.model_copy(update={"body": None, "json_path": None})

    def text(self) -> str:
        """Return it in one line for people: `POST /zstack/v1/*, body {"params":{"name":"gold"}}`."""
        given = self.model_dump(exclude_defaults=True)
        head = " ".join(str(given.pop(name)) for name in ("method", "path") if name in given)
        rest = [f"{_spelled(name)} {_plain(value)}" for name, value in given.items()]
        return ", ".join(([head] if head else []) + rest) or "any request"


def check_masks(matcher: RequestMatcher) -> None:
    """Raise ValueError for a matcher that can match no row, since the row has a mask where it names a secret."""
    for field, mask in _masked_fields(matcher):
        raise ValueError(f"{field} is masked in the journal: expect {mask}")


def _spelled(name: str) -> str:
    alias = RequestMatcher.model_fields[name].alias
    return alias or name


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _masked_fields(matcher: RequestMatcher) -> Iterator[tuple[str, str]]:
    """Yield the name of each field that masking changes so that it matches nothing, and what to expect there."""
    if matcher.path is not None and _is_masked_away(matcher.path, masked_path):
        yield "path: a secret in it", f"{MASK} or `*` in its place"
    for name, glob in matcher.headers.items():
        forms = [masked_header(name, "x"), *(masked_header(name, f"{scheme} x") for scheme in SCHEMES)]
        if glob is not None and MASK in forms and not matches_glob(glob, forms):
            yield f"headers.{name}", f"`*`, or a scheme as in `OAuth {MASK}`"
        elif glob is not None and MASK not in forms and _is_masked_away(glob, masked_text):
            yield f"headers.{name}: a secret in it", f"{MASK} or `*` in its place"
    for name, globs in matcher.query.items():
        for glob in globs or ():
            if _is_masked_away(glob, partial(_masked_value, name)):
                yield f"query.{name}", f"{MASK} or `*` in place of the secret"
    for path in matcher.json_path or ():
        if masked_text(path) != path:
            yield "jsonPath: a secret that it compares", f"'{MASK}' in its place"
    if matcher.body is not None:
        for place in _masked_members(matcher.body):
            yield f"body.{place}", json.dumps(MASK)


def _is_masked_away(glob: str, mask: Callable[[str], str]) -> bool:
    """Return whether masking changes what a glob asks for so that the glob does not match it any more."""
    sample = sample_of(glob)
    shown = mask(sample)
    return shown != sample and not matches_glob(glob, [shown])


def _masked_value(name: str, value: str) -> str:
    """Return the value of a parameter as the journal keeps it."""
    [(_, shown)] = parse_qsl(masked_path(f"?{urlencode({name: value})}")[1:])
    return shown


def _masked_members(body: Mapping[str, Any]) -> Iterator[str]:
    text = masked_json(body, MOST_BODY_BYTES + 4)
    if len(text.encode()) > MOST_BODY_BYTES:
        raise ValueError(f"body: is larger than {MOST_BODY_BYTES} bytes, which is all that is kept of a body")
    for path in _changed(body, json.loads(text), ()):
        yield ".".join(map(str, path))


def _changed(value: object, shown: object, path: tuple[Path, ...]) -> Iterator[tuple[Path, ...]]:
    if len(path) > MOST_DEPTH:
        raise ValueError(f"body: is nested more than {MOST_DEPTH} levels deep")
    if isinstance(value, dict) and isinstance(shown, dict):
        for name, member in value.items():
            yield from _changed(member, shown.get(name), (*path, name))
    elif isinstance(value, list) and isinstance(shown, list):
        for number, element in enumerate(value):
            yield from _changed(element, shown[number] if number < len(shown) else None, (*path, number))
    elif value != shown:
        yield path
