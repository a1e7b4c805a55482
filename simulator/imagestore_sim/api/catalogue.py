"""Every API that ZStack's public Java SDK or the catalogue of its MCP server names.

The facts and their sources are in `zstack_apis.json`. An API without a `package` is one of the SDK alone, which does
not tell it; one without `paths` is one of the MCP catalogue alone, which knows the legacy API only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Required, TypedDict

import orjson

from imagestore_sim.rest.parameters import HttpMethod

DATA = "zstack_apis.json"


class CataloguedApi(TypedDict, total=False):
    """An API, under the name of its message without `API` and `Msg`. What is false or usual is left out."""

    name: Required[str]
    package: str
    method: HttpMethod
    paths: list[str]
    key: str
    """The member of the body that holds the parameters of a POST, where it is not `params`."""
    response: str
    """The Java class of the reply or event, where its name does not follow from the API's."""
    sync: bool
    open: bool
    """Whether ZStack's open half has it."""
    session: bool
    """False where no session is needed."""
    since: str
    """The first of the versions 4.8 and 5.2 that has it, where 3.10 has not."""


class Catalogue(TypedDict):
    """All APIs; what told which fact; and the actions of the SDK that call another action's API, with that action.

    `supported` lists the messages of ZStack's open half, in its order.
    """

    sources: Mapping[str, str]
    aliases: Mapping[str, str]
    supported: list[str]
    apis: list[CataloguedApi]


@cache
def catalogue() -> Catalogue:
    """Return the catalogue."""
    read: Catalogue = orjson.loads(files("imagestore_sim.api").joinpath(DATA).read_bytes())
    return read


def message_name(api: CataloguedApi) -> str:
    """Return the name of an API's message, without its package."""
    return f"API{api['name']}Msg"


def java_class(api: CataloguedApi) -> str:
    """Return the Java class of an API's message: its name alone where the package is not known."""
    return ".".join(filter(None, (api.get("package"), message_name(api))))
