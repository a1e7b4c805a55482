"""Patterns of tags, of ZStack's paid editions: create, attach, detach (observed 23)."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.resource_types import type_of
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.backup_storage.errors import OperationFailed
from imagestore_sim.backup_storage.tag_patterns import SIMPLE, WITH_TOKEN, check_color, check_new
from imagestore_sim.query import TAG_PATTERN, USER_TAG
from imagestore_sim.rest.errors import ErrorCode
from imagestore_sim.rest.messages import AsyncMessage, Call, CreateMessage, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.tag2"
LONGEST = 128
CLOSED = "ZStack's source is closed: rules and texts are those of its SDK and its message catalogue"
Existing = Annotated[str, Rule(resource="TagPatternVO")]
Resources = Annotated[list[str], Rule(nonempty=True, resource="ResourceVO")]
handlers = Handlers[Services]()


class TagResult(TypedDict):
    """The tag of one resource, or why it has none."""

    inventory: NotRequired[dict[str, object]]
    """The tag, a UserTagInventory."""
    error: NotRequired[dict[str, object]]
    """The error."""
    success: bool
    """Whether the resource has the tag now."""


class APIQueryTagMsg(
    QueryMessage,
    method="GET",
    path="/tags",
    optional_paths=("/tags/{uuid}",),
    package=PACKAGE,
    paid=True,
):
    """Query patterns of tags. An account sees its own."""

    inventory = TAG_PATTERN


@handlers.handles
async def query_tag(services: Services, message: APIQueryTagMsg, call: Call) -> Reply:
    """Return the patterns that the query selects."""
    return await answer(services, message, call)


class APICreateTagMsg(
    CreateMessage,
    method="POST",
    path="/tags",
    package=PACKAGE,
    reply={"inventory": TAG_PATTERN},
    for_everyone=True,
    paid=True,
    deviation=CLOSED,
):
    """Create a pattern: a text, or one with tokens such as `env::{name}`."""

    name: Annotated[str, Rule(max_length=LONGEST)]
    """The name."""
    value: Annotated[str, Rule(max_length=LONGEST)]
    """A text; for type `withToken` with names in braces, such as `env::{name}`."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    color: str | None = None
    """Six hex digits after a `#`, such as `#186EAE`."""
    type: Annotated[str, Rule(valid_values=(SIMPLE, WITH_TOKEN))] = SIMPLE
    """`simple`, or `withToken` for a text with names in braces."""


@handlers.checks
async def check_create_tag(services: Services, message: APICreateTagMsg, call: Call) -> None:
    """Raise InvalidRequest for a color or a format that ZStack refuses."""
    check_color(message.color)
    check_new(message.type, message.value)


@handlers.handles
async def create_tag(services: Services, message: APICreateTagMsg, call: Call) -> Reply:
    """Create the pattern, and return it."""
    uuid = new_uuid(message.resourceUuid)
    values = message.given("name", "value", "description", "color", "type")
    await services.tag_patterns.create(uuid, str(call.account_uuid), values)
    return await services.inventory(TAG_PATTERN, uuid)


class APIUpdateTagMsg(
    AsyncMessage,
    method="PUT",
    path="/tags/{uuid}/actions",
    package=PACKAGE,
    reply={"inventory": TAG_PATTERN},
    for_everyone=True,
    paid=True,
    deviation=f"{CLOSED}; tags that exist keep their text",
):
    """Change a pattern. Of its value only the names of tokens can be changed."""

    uuid: Existing
    name: Annotated[str | None, Rule(max_length=LONGEST)] = None
    """The new name."""
    value: Annotated[str | None, Rule(max_length=LONGEST)] = None
    """The new text."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    color: str | None = None
    """The new color: six hex digits after a `#`."""


@handlers.checks
async def check_update_tag(services: Services, message: APIUpdateTagMsg, call: Call) -> None:
    """Raise InvalidRequest for a color or a value that ZStack refuses."""
    check_color(message.color)
    await services.tag_patterns.check_change(message.uuid, message.value)


@handlers.handles
async def update_tag(services: Services, message: APIUpdateTagMsg, call: Call) -> Reply:
    """Change the pattern, and return it."""
    await services.tag_patterns.change(message.uuid, message.given("name", "value", "description", "color"))
    return await services.inventory(TAG_PATTERN, message.uuid)


class APIAttachTagToResourcesMsg(
    AsyncMessage,
    method="POST",
    path="/tags/{tagUuid}/resources",
    package=PACKAGE,
    reply={"results": list[TagResult]},
    for_everyone=True,
    paid=True,
    deviation=f"{CLOSED}; a resource can have any number of tags",
):
    """Tag resources by a pattern; `tokens` has the values of its tokens."""

    tagUuid: Existing
    resourceUuids: Resources
    tokens: dict[str, str] | None = None
    """A value for each name in braces of the pattern."""


@handlers.checks
async def check_attach_tag(services: Services, message: APIAttachTagToResourcesMsg, call: Call) -> None:
    """Raise InvalidRequest for tokens that the pattern does not have, or that have no value."""
    await services.tag_patterns.check_tokens(message.tagUuid, message.tokens)


@handlers.handles
async def attach_tag(services: Services, message: APIAttachTagToResourcesMsg, call: Call) -> Reply:
    """Tag the resources, and return the tag or the error of each."""
    results: list[dict[str, object]] = []
    schema: dict[str, str] = {}
    for place, resource in enumerate(message.resourceUuids):
        kind = await type_of(services, resource)
        try:
            tag = await services.tag_patterns.attach(message.tagUuid, resource, kind, message.tokens or {})
        except OperationFailed as error:
            results.append({"error": ErrorCode("SYS.1006", str(error)).to_json(), "success": False})
            continue
        found = await services.inventory(USER_TAG, tag)
        results.append({"inventory": found.body["inventory"], "success": True})
        schema[f"results[{place}].inventory"] = USER_TAG.java_class
    return Reply({"results": results}, schema)


class APIDetachTagFromResourcesMsg(
    AsyncMessage,
    method="DELETE",
    path="/tags/{tagUuid}/resources",
    package=PACKAGE,
    for_everyone=True,
    paid=True,
    deviation=CLOSED,
):
    """Take the tags of a pattern from resources."""

    tagUuid: Existing
    resourceUuids: Resources


@handlers.handles
async def detach_tag(services: Services, message: APIDetachTagFromResourcesMsg, call: Call) -> Reply:
    """Delete the tags, and return an empty reply."""
    await services.tag_patterns.detach(message.tagUuid, message.resourceUuids)
    return Reply()
