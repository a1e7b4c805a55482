"""Web hooks: events posted to an address; deprecated in ZStack (domain 1.6)."""

from __future__ import annotations

from typing import Annotated

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
FIELDS = ("name", "description", "url", "type", "opaque")
handlers = Handlers[Services]()


class APICreateWebhookMsg(
    CreateMessage,
    method="POST",
    path=PATH,
    package=PACKAGE,
    reply={"inventory": WEB_HOOK},
    deviation="an operation does not fail if a receiver refuses its event; hooks also get the lab's own events",
):
    """Create a web hook. For type CanonicalEvent, `opaque` is the path of the events, or a glob of paths."""

    name: Annotated[str, Rule(max_length=255)]
    """The name."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    url: Annotated[str, Rule(max_length=2048)]
    """The address to post events to."""
    type: Annotated[str, Rule(max_length=255)]
    """`CanonicalEvent` for events; any other type gets none."""
    opaque: str | None = None
    """For type `CanonicalEvent`: the path of the events, or a glob of paths."""


@handlers.checks_first
async def check_create_web_hook(services: Services, message: APICreateWebhookMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for a hook of canonical events without a path."""
    if message.type == CANONICAL_EVENT and message.opaque is None:
        raise invalid_argument(f"for webhooks with type[{CANONICAL_EVENT}], the field opaque cannot be null")


@handlers.checks
async def check_url_of_new_web_hook(services: Services, message: APICreateWebhookMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for an invalid url."""
    _check_url(services, message.url)


@handlers.handles
async def create_web_hook(services: Services, message: APICreateWebhookMsg, call: Call) -> Reply:
    """Create the hook, and return it."""
    uuid = new_uuid(message.resourceUuid)
    await services.web_hooks.create(uuid, message.given(*FIELDS))
    return await services.inventory(WEB_HOOK, uuid)


class APIQueryWebhookMsg(
    QueryMessage,
    method="GET",
    path=PATH,
    optional_paths=(ONE,),
    package=PACKAGE,
    for_everyone=False,
):
    """Query web hooks."""

    inventory = WEB_HOOK


@handlers.handles
async def query_web_hook(services: Services, message: APIQueryWebhookMsg, call: Call) -> Reply:
    """Return the hooks that the query selects."""
    return await answer(services, message, call)


class APIUpdateWebhookMsg(AsyncMessage, method="PUT", path=ONE, package=PACKAGE, reply={"inventory": WEB_HOOK}):
    """Change a web hook."""

    uuid: Annotated[str, Rule(resource="WebhookVO")]
    name: Annotated[str | None, Rule(max_length=255)] = None
    """The new name."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    url: Annotated[str | None, Rule(max_length=2048)] = None
    """The address to post events to."""
    type: Annotated[str | None, Rule(max_length=255)] = None
    """`CanonicalEvent` for events; any other type gets none."""
    opaque: str | None = None
    """For type `CanonicalEvent`: the path of the events, or a glob of paths."""


@handlers.checks
async def check_update_web_hook(services: Services, message: APIUpdateWebhookMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 if the new url is invalid."""
    if message.url is not None:
        _check_url(services, message.url)


@handlers.handles
async def update_web_hook(services: Services, message: APIUpdateWebhookMsg, call: Call) -> Reply:
    """Change the hook, and return it."""
    await services.web_hooks.change(message.uuid, message.given(*FIELDS))
    return await services.inventory(WEB_HOOK, message.uuid)


class APIDeleteWebhookMsg(DeleteMessage, method="DELETE", path=ONE, package=PACKAGE):
    """Delete a web hook."""

    uuid: Annotated[str, Rule(resource="WebhookVO", missing_is_done=True)]


@handlers.handles
async def delete_web_hook(services: Services, message: APIDeleteWebhookMsg, call: Call) -> Reply:
    """Delete the hook, and return an empty reply."""
    await services.web_hooks.delete(message.uuid)
    return Reply()


def _check_url(services: Services, url: str) -> None:
    if not is_url(url, any_host=services.leniency.any_receiver):
        raise invalid_argument(f"Invalid url[{url}]")
