"""Web hooks for events, which ZStack has deprecated (domain 1.6)."""

from __future__ import annotations

from typing import Annotated

from imagestore_sim.api.backup_storage import given
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.api.url_validator import is_url
from imagestore_sim.backup_storage.event_web_hooks import CANONICAL_EVENT
from imagestore_sim.query import WEB_HOOK
from imagestore_sim.rest.errors import invalid_argument
from imagestore_sim.rest.messages import AsyncMessage, Call, CreateMessage, DeleteMessage, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.header.core.webhooks"
PATH = "/web-hooks"
ONE = "/web-hooks/{uuid}"
handlers = Handlers[Services]()


class APICreateWebhookMsg(
    CreateMessage,
    method="POST",
    path=PATH,
    package=PACKAGE,
    reply=("inventory",),
    deviation="an operation does not fail with a receiver that refuses its event; hooks see the lab's own events too",
):
    """Have an address told of events; for those of type CanonicalEvent `opaque` is a path, or a glob of paths."""

    name: Annotated[str, Rule(max_length=255)]
    description: Annotated[str | None, Rule(max_length=2048)] = None
    url: Annotated[str, Rule(max_length=2048)]
    type: Annotated[str, Rule(max_length=255)]
    opaque: str | None = None


@handlers.checks_first
async def check_create_web_hook(services: Services, message: APICreateWebhookMsg, call: Call) -> None:
    """Of canonical events, it is to say which."""
    if message.type == CANONICAL_EVENT and message.opaque is None:
        raise invalid_argument(f"for webhooks with type[{CANONICAL_EVENT}], the field opaque cannot be null")


@handlers.checks
async def check_url_of_new_web_hook(services: Services, message: APICreateWebhookMsg, call: Call) -> None:
    """A url that is one."""
    _check_url(services, message.url)


@handlers.handles
async def create_web_hook(services: Services, message: APICreateWebhookMsg, call: Call) -> Reply:
    """The new hook."""
    uuid = new_uuid(message.resourceUuid)
    values = given(
        name=message.name,
        description=message.description,
        url=message.url,
        type=message.type,
        opaque=message.opaque,
    )
    await services.web_hooks.create(uuid, values)
    return await services.inventory(WEB_HOOK, uuid)


class APIQueryWebhookMsg(
    QueryMessage,
    method="GET",
    path=PATH,
    optional_paths=(ONE,),
    package=PACKAGE,
    reply=("inventories",),
    for_everyone=False,
):
    """Query web hooks."""

    inventory = WEB_HOOK


@handlers.handles
async def query_web_hook(services: Services, message: APIQueryWebhookMsg, call: Call) -> Reply:
    """The hooks asked for."""
    return await answer(services, message, call)


class APIUpdateWebhookMsg(AsyncMessage, method="PUT", path=ONE, package=PACKAGE, reply=("inventory",)):
    """Change a hook."""

    uuid: Annotated[str, Rule(resource="WebhookVO")]
    name: Annotated[str | None, Rule(max_length=255)] = None
    description: Annotated[str | None, Rule(max_length=2048)] = None
    url: Annotated[str | None, Rule(max_length=2048)] = None
    type: Annotated[str | None, Rule(max_length=255)] = None
    opaque: str | None = None


@handlers.checks
async def check_update_web_hook(services: Services, message: APIUpdateWebhookMsg, call: Call) -> None:
    """A url that is one, if another is given."""
    if message.url is not None:
        _check_url(services, message.url)


@handlers.handles
async def update_web_hook(services: Services, message: APIUpdateWebhookMsg, call: Call) -> Reply:
    """The hook as it is now."""
    values = given(
        name=message.name,
        description=message.description,
        url=message.url,
        type=message.type,
        opaque=message.opaque,
    )
    await services.web_hooks.change(message.uuid, values)
    return await services.inventory(WEB_HOOK, message.uuid)


class APIDeleteWebhookMsg(DeleteMessage, method="DELETE", path=ONE, package=PACKAGE):
    """Tell an address no more."""

    uuid: Annotated[str, Rule(resource="WebhookVO", missing_is_done=True)]


@handlers.handles
async def delete_web_hook(services: Services, message: APIDeleteWebhookMsg, call: Call) -> Reply:
    """Nothing."""
    await services.web_hooks.delete(message.uuid)
    return Reply()


def _check_url(services: Services, url: str) -> None:
    if not is_url(url, any_host=services.leniency.any_receiver):
        raise invalid_argument(f"Invalid url[{url}]")
