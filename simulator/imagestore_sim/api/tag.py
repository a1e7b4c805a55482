"""System tags and user tags (query-semantics 4.5; ZStack's org.zstack.header.tag)."""

from __future__ import annotations

from typing import Annotated

from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services
from imagestore_sim.query import SYSTEM_TAG, USER_TAG
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.messages import AsyncMessage, Call, DeleteMessage, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.header.tag"
OURS = "only resources of types BackupStorageVO, ZoneVO and ImageVO can have system tags"
handlers = Handlers[Services]()
Resource = Annotated[str, Rule(resource="ResourceVO")]


class APIQuerySystemTagMsg(
    QueryMessage,
    method="GET",
    path="/system-tags",
    optional_paths=("/system-tags/{uuid}",),
    package=PACKAGE,
):
    """Query system tags."""

    inventory = SYSTEM_TAG


@handlers.handles
async def query_system_tag(services: Services, message: APIQuerySystemTagMsg, call: Call) -> Reply:
    """Return the tags that the query selects."""
    return await answer(services, message, call)


class APIQueryUserTagMsg(
    QueryMessage,
    method="GET",
    path="/user-tags",
    optional_paths=("/user-tags/{uuid}",),
    package=PACKAGE,
):
    """Query user tags."""

    inventory = USER_TAG


@handlers.handles
async def query_user_tag(services: Services, message: APIQueryUserTagMsg, call: Call) -> Reply:
    """Return the tags that the query selects."""
    return await answer(services, message, call)


class APICreateSystemTagMsg(
    AsyncMessage,
    method="POST",
    path="/system-tags",
    package=PACKAGE,
    reply={"inventory": SYSTEM_TAG},
    for_everyone=True,
    deviation=OURS,
):
    """Create a system tag of a resource."""

    resourceType: str
    """The type of the resource, such as `BackupStorageVO`."""
    resourceUuid: Resource
    tag: str
    """The text of the tag, in a form that ZStack knows."""


@handlers.handles
async def create_system_tag(services: Services, message: APICreateSystemTagMsg, call: Call) -> Reply:
    """Create the tag, and return it; an empty reply if the resource has it already."""
    created = await services.tags.create_system_tag(message.resourceUuid, message.resourceType, message.tag)
    return Reply() if created is None else await services.inventory(SYSTEM_TAG, created)


class APICreateSystemTagsMsg(
    AsyncMessage,
    method="POST",
    path="/system-tags/{resourceUuid}/tags",
    package=PACKAGE,
    reply={"inventories": [SYSTEM_TAG]},
    for_everyone=True,
    deviation=f"{OURS}; a tag that the resource has already is left out, where ZStack lists a null",
):
    """Create system tags of a resource."""

    resourceType: str
    """The type of the resource, such as `BackupStorageVO`."""
    resourceUuid: Resource
    tags: Annotated[list[str], Rule(nonempty=True)]
    """The texts of the tags, in forms that ZStack knows."""


@handlers.handles
async def create_system_tags(services: Services, message: APICreateSystemTagsMsg, call: Call) -> Reply:
    """Create the tags, and return the new ones."""
    created = [
        await services.tags.create_system_tag(message.resourceUuid, message.resourceType, tag) for tag in message.tags
    ]
    found = [await services.inventory(SYSTEM_TAG, one) for one in created if one is not None]
    schema = list_schema("inventories", [SYSTEM_TAG.java_class] * len(found))
    return Reply({"inventories": [reply.body["inventory"] for reply in found]}, schema)


class APICreateUserTagMsg(
    AsyncMessage,
    method="POST",
    path="/user-tags",
    package=PACKAGE,
    reply={"inventory": USER_TAG},
    for_everyone=True,
    deviation=OURS,
):
    """Create a user tag of a resource."""

    resourceType: str
    """The type of the resource, such as `BackupStorageVO`."""
    resourceUuid: Resource
    tag: str
    """The text of the tag."""


@handlers.handles
async def create_user_tag(services: Services, message: APICreateUserTagMsg, call: Call) -> Reply:
    """Create the tag, and return it."""
    created = await services.tags.create_user_tag(message.resourceUuid, message.resourceType, message.tag)
    return await services.inventory(USER_TAG, created)


class APIUpdateSystemTagMsg(
    AsyncMessage,
    method="PUT",
    path="/system-tags/{uuid}/actions",
    package=PACKAGE,
    reply={"inventory": SYSTEM_TAG},
    for_everyone=True,
):
    """Change the text of a system tag."""

    uuid: Annotated[str, Rule(resource="SystemTagVO")]
    tag: str
    """The new text, in the form that the tag has."""


@handlers.handles
async def update_system_tag(services: Services, message: APIUpdateSystemTagMsg, call: Call) -> Reply:
    """Change the tag, and return it."""
    await services.tags.change_system_tag(message.uuid, message.tag)
    return await services.inventory(SYSTEM_TAG, message.uuid)


class APIDeleteTagMsg(DeleteMessage, method="DELETE", path="/tags/{uuid}", package=PACKAGE, for_everyone=True):
    """Delete a system tag, a user tag, or a pattern with the tags made of it. Succeed if it does not exist."""

    uuid: str
    """The uuid of the tag or of the pattern."""


@handlers.checks
async def check_delete_tag(services: Services, message: APIDeleteTagMsg, call: Call) -> None:
    """Check that the caller owns the tagged resource, as ZStack's TagApiInterceptor does."""
    await services.rights.check_tag(message.uuid, call.account_uuid)


@handlers.handles
async def delete_tag(services: Services, message: APIDeleteTagMsg, call: Call) -> Reply:
    """Delete the tag, and return an empty reply."""
    await services.tags.delete(message.uuid)
    await services.tag_patterns.delete(message.uuid)
    return Reply()
