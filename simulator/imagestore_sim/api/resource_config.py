"""Options of the global configuration with values of their own for single resources (observed 22)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, TypedDict

from sqlalchemy import or_, select

from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.resource_types import type_of
from imagestore_sim.api.services import Services
from imagestore_sim.database.global_config import ConfigOption, InvalidOption
from imagestore_sim.database.models import ADMIN_UUID, SharedResource
from imagestore_sim.query import RESOURCE_CONFIG
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.errors import invalid_argument, operation_failed
from imagestore_sim.rest.java_values import java_hash
from imagestore_sim.rest.messages import AsyncMessage, Call, DeleteMessage, Handlers, Reply, SyncMessage
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.resourceconfig"
PATH = "/resource-configurations"
STRUCT = f"{PACKAGE}.ResourceConfigStruct"
BINDABLE = f"{PACKAGE}.APIGetResourceBindableConfigReply$ResourceBindableConfigStruct"
FEW = "only `reservedCapacity` of a storage has an effect"
handlers = Handlers[Services]()
Resource = Annotated[str, Rule(resource="ResourceVO")]


class BindableConfig(TypedDict):
    """An option that may have values of its own for resources."""

    name: str
    """The name of the option, below its category."""
    category: str
    """The category of the option."""
    description: str
    """What the option is for."""
    bindResourceTypes: list[str]
    """The types of resources that may have a value."""


class ConfigOfResource(TypedDict):
    """The value of an option for a resource."""

    name: str
    """The name of the option."""
    value: str
    """The value that holds for the resource."""
    effectiveConfigs: list[dict[str, object]]
    """The rows that the value comes from; none where it is the global one."""


class APIQueryResourceConfigMsg(QueryMessage, method="GET", path=PATH, package=PACKAGE):
    """Query values of resources. An account sees those of its own resources."""

    inventory = RESOURCE_CONFIG


@handlers.handles
async def query_resource_config(services: Services, message: APIQueryResourceConfigMsg, call: Call) -> Reply:
    """Return the values that the query selects."""
    return await answer(services, message, call)


class APIGetResourceBindableConfigMsg(
    SyncMessage,
    method="GET",
    path=f"{PATH}/bindable",
    optional_paths=(f"{PATH}/bindable/{{category}}",),
    package=PACKAGE,
    reply={"bindableConfigs": list[BindableConfig]},
    for_everyone=True,
    deviation="the options of ZStack's open half only",
):
    """List the options that may have values of their own for resources, with the types of these."""

    category: str | None = None
    """The category whose options to list; all by default."""


@handlers.handles
async def get_bindable(services: Services, message: APIGetResourceBindableConfigMsg, call: Call) -> Reply:
    """Return the options, in the order of a Java map of all of them."""
    listed = [
        {
            "name": one.name,
            "category": one.category,
            "description": one.description,
            "bindResourceTypes": list(one.binds),
        }
        for one in _in_java_order(services.configuration.bindable(None))
        if message.category in (None, one.category)
    ]
    return Reply({"bindableConfigs": listed}, list_schema("bindableConfigs", [BINDABLE] * len(listed)))


class APIGetResourceConfigMsg(
    SyncMessage,
    method="GET",
    path=f"{PATH}/{{resourceUuid}}/{{category}}/{{name}}",
    package=PACKAGE,
    reply={"value": str, "effectiveConfigs": [RESOURCE_CONFIG]},
    for_everyone=True,
):
    """Get the value of an option for a resource."""

    category: str
    """The category of the option, such as `backupStorage`."""
    name: str
    """The name of the option, such as `reservedCapacity`."""
    resourceUuid: Resource


@handlers.checks
async def check_get(services: Services, message: APIGetResourceConfigMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for an option that does not bind resources, or a resource that is not shared."""
    _bindable(services, message.category, message.name)
    await _check_access(services, message.resourceUuid, call)


@handlers.handles
async def get_resource_config(services: Services, message: APIGetResourceConfigMsg, call: Call) -> Reply:
    """Return the value, and the row that it comes from, if there is one."""
    found = await _effective(services, message.category, message.name, message.resourceUuid)
    return Reply(found, _schema_of(found))


class APIGetResourceConfigsMsg(
    SyncMessage,
    method="GET",
    path=f"{PATH}/{{resourceUuid}}/{{category}}",
    package=PACKAGE,
    reply={"configs": list[ConfigOfResource]},
    for_everyone=True,
):
    """Get the values of several options of a category for a resource."""

    category: str
    """The category of the option, such as `backupStorage`."""
    names: Annotated[list[str], Rule(nonempty=True)]
    """The names of the options."""
    resourceUuid: Resource


@handlers.checks
async def check_get_several(services: Services, message: APIGetResourceConfigsMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for an option that does not bind resources, or a resource that is not shared."""
    for name in message.names:
        _bindable(services, message.category, name)
    await _check_access(services, message.resourceUuid, call)


@handlers.handles
async def get_resource_configs(services: Services, message: APIGetResourceConfigsMsg, call: Call) -> Reply:
    """Return the values, each with the row that it comes from, if there is one."""
    pairs = [(message.category, name) for name in message.names]
    return await _structs(services, message.resourceUuid, pairs, "configs")


class APIUpdateResourceConfigMsg(
    AsyncMessage,
    method="PUT",
    path=f"{PATH}/{{category}}/{{name}}/{{resourceUuid}}/actions",
    package=PACKAGE,
    reply={"inventory": RESOURCE_CONFIG},
    for_everyone=True,
    deviation=FEW,
):
    """Give a resource a value of its own."""

    category: str
    """The category of the option, such as `backupStorage`."""
    name: str
    """The name of the option, such as `reservedCapacity`."""
    resourceUuid: Resource
    value: str
    """The new value, as a text."""


@handlers.checks
async def check_update(services: Services, message: APIUpdateResourceConfigMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for an option that does not bind resources."""
    _bindable(services, message.category, message.name)


@handlers.handles
async def update_resource_config(services: Services, message: APIUpdateResourceConfigMsg, call: Call) -> Reply:
    """Set the value, and return it. Raise ApiError SYS.1006 for a type or a value that the option does not take."""
    option = _bindable(services, message.category, message.name)
    kind = await _bound_type(services, option, message.resourceUuid)
    try:
        await services.resource_configs.change(option, message.resourceUuid, kind, message.value)
    except InvalidOption as error:
        raise operation_failed(str(error)) from None
    uuid = await services.resource_configs.find(option, message.resourceUuid)
    return await services.inventory(RESOURCE_CONFIG, str(uuid))


class APIUpdateResourceConfigsMsg(
    AsyncMessage,
    method="POST",
    path=f"{PATH}/{{resourceUuid}}/resource-configs/actions",
    package=PACKAGE,
    reply={"inventories": list[ConfigOfResource]},
    for_everyone=True,
    deviation=FEW,
):
    """Give a resource several values of its own."""

    resourceUuid: Resource
    resourceConfigs: Annotated[list[dict[str, object]], Rule(nonempty=True)]
    """Each an object with `category`, `name` and `value`."""


@handlers.checks
async def check_update_several(services: Services, message: APIUpdateResourceConfigsMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for an option that does not bind resources, or a value that it does not take."""
    for category, name, value in _given(message):
        option = _bindable(services, category, name)
        option.read(option, value)


@handlers.handles
async def update_resource_configs(services: Services, message: APIUpdateResourceConfigsMsg, call: Call) -> Reply:
    """Set the values that the resource can have, and return all; ZStack leaves out the others without an error."""
    for category, name, value in _given(message):
        option = _bindable(services, category, name)
        if await type_of(services, message.resourceUuid) in option.binds:
            kind = await _bound_type(services, option, message.resourceUuid)
            await services.resource_configs.change(option, message.resourceUuid, kind, value)
    pairs = [(category, name) for category, name, _ in _given(message)]
    return await _structs(services, message.resourceUuid, pairs, "inventories")


class APIDeleteResourceConfigMsg(
    DeleteMessage,
    method="DELETE",
    path=f"{PATH}/{{category}}/{{name}}/{{resourceUuid}}",
    package=PACKAGE,
    for_everyone=True,
):
    """Let a resource have the global value again."""

    category: str
    """The category of the option, such as `backupStorage`."""
    name: str
    """The name of the option, such as `reservedCapacity`."""
    resourceUuid: Annotated[str, Rule(resource="ResourceVO", missing_is_done=True)]


@handlers.checks
async def check_delete(services: Services, message: APIDeleteResourceConfigMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 for an option that does not bind resources."""
    _bindable(services, message.category, message.name)


@handlers.handles
async def delete_resource_config(services: Services, message: APIDeleteResourceConfigMsg, call: Call) -> Reply:
    """Delete the value. Raise ApiError SYS.1006 for a type of resources that the option does not bind."""
    option = _bindable(services, message.category, message.name)
    await _bound_type(services, option, message.resourceUuid)
    await services.resource_configs.delete(option, message.resourceUuid)
    return Reply()


def _given(message: APIUpdateResourceConfigsMsg) -> list[tuple[str, str, str]]:
    return [(str(one.get("category")), str(one.get("name")), str(one.get("value"))) for one in message.resourceConfigs]


def _bindable(services: Services, category: str, name: str) -> ConfigOption[object]:
    """Return an option that may have values for resources. Raise ApiError SYS.1007; ZStack's text has both names."""
    where = f"global config[category:{category}, name:{category}.{name}]"
    try:
        option = services.configuration.find(category, name)
    except InvalidOption:
        raise invalid_argument(f"no {where} found") from None
    if not option.binds:
        raise invalid_argument(f"{where} cannot bind resource")
    return option


async def _check_access(services: Services, resource: str, call: Call) -> None:
    """Raise ApiError SYS.1007 unless the caller owns the resource, or it is shared with it."""
    account = call.account_uuid
    if account == ADMIN_UUID or await services.rights.owner(resource) == account:
        return
    seen = or_(SharedResource.receiverAccountUuid == account, SharedResource.toPublic)
    if not await services.database.read(select(SharedResource.id).where(SharedResource.resourceUuid == resource, seen)):
        raise invalid_argument(f"account has no access to the resource[uuid: {resource}]")


async def _bound_type(services: Services, option: ConfigOption[object], resource: str) -> str:
    kind = await type_of(services, resource)
    if kind not in option.binds:
        where = f"ResourceConfig [category:{option.category}, name:{option.name}]"
        raise operation_failed(f"{where} cannot bind to resourceType: {kind}")
    return kind


async def _effective(services: Services, category: str, name: str, resource: str) -> dict[str, object]:
    """Return the value of an option for a resource, and the rows that decide it: its own, or none."""
    found = await services.resource_configs.find(_bindable(services, category, name), resource)
    if found is None:
        return {"value": services.configuration.text(category, name), "effectiveConfigs": []}
    row = (await services.inventory(RESOURCE_CONFIG, found)).body["inventory"]
    return {"value": row["value"], "effectiveConfigs": [row]}  # type: ignore[index]  # it has just been found


async def _structs(services: Services, resource: str, pairs: Iterable[tuple[str, str]], member: str) -> Reply:
    """Return the reply that lists the values of options for a resource as its `member`."""
    found = [await _effective(services, category, name, resource) | {"name": name} for category, name in pairs]
    schema: dict[str, str] = {}
    for place, one in reversed(list(enumerate(found))):
        schema |= {f"{member}[{place}]": STRUCT} | _schema_of(one, f"{member}[{place}].")
    return Reply({member: found}, schema)


def _schema_of(found: Mapping[str, object], before: str = "") -> dict[str, str]:
    return {f"{before}effectiveConfigs[0]": RESOURCE_CONFIG.java_class} if found["effectiveConfigs"] else {}


def _in_java_order(options: list[ConfigOption[object]]) -> list[ConfigOption[object]]:
    buckets = 16
    while len(options) > buckets * 3 // 4:
        buckets *= 2

    def place(one: ConfigOption[object]) -> int:
        hashed = java_hash(f"{one.category}.{one.name}")
        return (hashed ^ hashed >> 16) & (buckets - 1)

    return sorted(options, key=place)
