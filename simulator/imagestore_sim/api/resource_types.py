"""The type of a resource, by its uuid, as tags and options of resources name it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from imagestore_sim.api.services import Services
from imagestore_sim.database.models import BackupStorage, Image, User, UserGroup, Zone

TYPES: Mapping[str, type[BackupStorage | Zone | Image | User | UserGroup]] = {
    "BackupStorageVO": BackupStorage,
    "ZoneVO": Zone,
    "ImageVO": Image,
    "UserVO": User,
    "UserGroupVO": UserGroup,
}
"""The tables of the types of resources; what is in none of them is an account."""


async def type_of(services: Services, resource: str) -> str:
    """Return the type of a resource that exists."""
    for name, model in TYPES.items():
        if await services.database.read(select(model.uuid).where(model.uuid == resource)):
            return name
    return "AccountVO"
