"""Check what an account other than admin may do to resources of others (observed 10; ZStack's RBACInfo classes).

Images, long jobs, users, groups, access keys, policies, roles and patterns of tags belong to accounts. Zones,
storages and all other resources belong to admin.
"""

from __future__ import annotations

from sqlalchemy import select, true

from imagestore_sim.api.user_policies import check_user
from imagestore_sim.database import Database
from imagestore_sim.database.models import (
    ADMIN_UUID,
    AccessKey,
    Image,
    LongJob,
    Policy,
    Role,
    SystemTag,
    TagPattern,
    User,
    UserGroup,
    UserTag,
)
from imagestore_sim.identity.members import Members
from imagestore_sim.rest.binding import Values
from imagestore_sim.rest.errors import ApiError, ErrorCode, internal_error, invalid_argument, operation_failed
from imagestore_sim.rest.identity import Identity
from imagestore_sim.rest.parameters import Api

OWNED = (
    "ImageVO",
    "LongJobVO",
    "ResourceVO",
    "UserVO",
    "UserGroupVO",
    "AccessKeyVO",
    "PolicyVO",
    "RoleVO",
    "TagPatternVO",
)
"""The resource types of parameters that must name the caller's own resources."""


class Rights:
    """Finds the owner of a resource, and refuses what only the owner may do."""

    def __init__(self, database: Database, members: Members) -> None:
        self._database = database
        self._members = members

    async def check(self, api: Api, values: Values, identity: Identity) -> None:
        """Raise ApiError SYS.1006 for a change that the account may not make, or a call that the user may not."""
        if identity.is_admin:
            return
        if identity.is_user:
            check_user(await self._members.policies_of(identity.user_uuid), api, values, identity.user_uuid)
        if api.sync:
            return
        for parameter in api.parameters:
            resource, given = parameter.rule.resource or "", values.get(parameter.name)
            for uuid in map(str, given if isinstance(given, list) else [given] if given is not None else []):
                if resource in OWNED and await self.owner(uuid) != identity.account_uuid:
                    raise operation_failed(_denied(identity, "resource", uuid, resource))
                if resource == "SystemTagVO":
                    await self._check_tagged(uuid, identity)

    async def owner(self, resource_uuid: str) -> str | None:
        """Return the uuid of the account that owns a resource; None for one without owner, such as a zone."""
        for model in (Image, LongJob, User, UserGroup, AccessKey, Policy, Role, TagPattern):
            found = await self._database.read(select(model.accountUuid).where(model.uuid == resource_uuid))
            if found:
                return str(found[0].accountUuid)
        return None

    async def check_tag(self, tag_uuid: str, account_uuid: str | None) -> None:
        """Raise ApiError ID.1002 for a tag of a resource that another account owns, SYS.1007 for its pattern.

        Inherent tags are not checked here: nobody can delete them, not even admin.
        """
        if account_uuid in (None, ADMIN_UUID):
            return
        for row in await self._database.read(select(TagPattern.accountUuid).where(TagPattern.uuid == tag_uuid)):
            if row.accountUuid != account_uuid:
                text = f"resource[uuids:[{tag_uuid}]] is not owned by account[uuid:{account_uuid}]"
                raise invalid_argument(text)
        for model, kind, removable in ((UserTag, "user", true()), (SystemTag, "system", ~SystemTag.inherent)):
            for row in await self._database.read(select(model.resourceUuid).where(model.uuid == tag_uuid, removable)):
                owner = await self.owner(row.resourceUuid)
                if owner is None:
                    raise internal_error("No entity found for query")
                if owner != account_uuid:
                    not_yours = f"refer to a resource not belonging to the account[uuid: {account_uuid}]"
                    raise ApiError(
                        ErrorCode("ID.1002", f"permission denied. The {kind} tag[uuid: {tag_uuid}] {not_yours}")
                    )

    async def _check_tagged(self, tag_uuid: str, identity: Identity) -> None:
        columns = select(SystemTag.resourceUuid, SystemTag.resourceType)
        for row in await self._database.read(columns.where(SystemTag.uuid == tag_uuid)):
            if await self.owner(row.resourceUuid) != identity.account_uuid:
                raise operation_failed(_denied(identity, "tagged resource", row.resourceUuid, row.resourceType))


def _denied(identity: Identity, what: str, uuid: str, resource_type: str) -> str:
    account = f"the account[uuid:{identity.account_uuid}]"
    return f"permission denied, {account} is not the owner of the {what}[uuid:{uuid}, type:{resource_type}]"
