"""Sftp backup storages, the older type with open source (domain 2.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from imagestore_sim.api.error_translation import connect_error
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.api.storage_calls import PORTS, AddMessage, add_and_connect, update_record
from imagestore_sim.backup_storage.errors import ConnectFailed
from imagestore_sim.backup_storage.records import SFTP_TYPE, NewStorage
from imagestore_sim.query import BACKUP_STORAGE, SFTP_BACKUP_STORAGE
from imagestore_sim.query.conditions import Operator
from imagestore_sim.rest.errors import ApiError, ErrorCode
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.storage.backup.sftp"
HEADER = "org.zstack.header.storage.backup"
PATH = "/backup-storage/sftp"
ACTIONS = "/backup-storage/sftp/{uuid}/actions"
handlers = Handlers[Services]()
Existing = Annotated[str, Rule(resource="SftpBackupStorageVO")]


class APIAddSftpBackupStorageMsg(
    AddMessage,
    method="POST",
    path=PATH,
    package=PACKAGE,
    reply={"inventory": SFTP_BACKUP_STORAGE},
    source="domain 2.3, 3.1, 3.2",
    deviation="an SSH probe of the url replaces the agent; importImages finds none",
):
    """Add an Sftp storage, and connect it."""

    waits = True

    hostname: Annotated[str, Rule(max_length=255, empty_string=False)]
    """The name or address of the host, which no other storage of the type may have."""
    username: Annotated[str, Rule(max_length=255)]
    """The user of the SSH login."""
    password: Annotated[str, Rule(max_length=255)]
    """The password of the SSH login."""
    sshPort: Annotated[int, Rule(number_range=PORTS, zero_is_unset=True)] = 22
    """The port of the SSH server."""


@handlers.checks
async def check_add_sftp(services: Services, message: APIAddSftpBackupStorageMsg, call: Call) -> None:
    """Check the form of the hostname and the url, and that the hostname is not in use."""
    await services.lifecycle.check_new(SFTP_TYPE, message.hostname, message.url)


@handlers.handles
async def add_sftp(services: Services, message: APIAddSftpBackupStorageMsg, call: Call) -> Reply:
    """Add and connect the Sftp storage, and return it."""
    new = NewStorage(
        type=SFTP_TYPE,
        uuid=new_uuid(message.resourceUuid),
        name=message.name,
        url=message.url,
        hostname=message.hostname,
        username=message.username,
        password=message.password,
        port=message.sshPort,
        description=message.description,
    )
    return await add_and_connect(services, new, SFTP_BACKUP_STORAGE, call)


class APIQuerySftpBackupStorageMsg(
    QueryMessage,
    method="GET",
    path=PATH,
    optional_paths=(f"{PATH}/{{uuid}}",),
    package=PACKAGE,
):
    """Query Sftp storages."""

    inventory = SFTP_BACKUP_STORAGE


@handlers.handles
async def query_sftp(services: Services, message: APIQuerySftpBackupStorageMsg, call: Call) -> Reply:
    """Return the Sftp storages that the query selects. As in ZStack, any condition on `type` means Sftp."""
    conditions = list(message.query.conditions)
    index = next((index for index, one in enumerate(conditions) if one.name == "type"), None)
    if index is not None:
        conditions[index] = replace(conditions[index], operator=Operator.EQUAL, value=SFTP_TYPE)
    query = replace(message.query, conditions=tuple(conditions))
    return await answer(services, message.but(query=query), call)


class APIUpdateSftpBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    response_class=f"{HEADER}.APIUpdateBackupStorageEvent",
    reply={"inventory": BACKUP_STORAGE},
):
    """Change an Sftp storage's record, but not its url; nothing is reconnected (domain 3.4).

    ZStack accepts a storage of any type: one without a host gets the name and the description.
    """

    owned_by = "uuid"
    uuid: Annotated[str, Rule(resource="BackupStorageVO")]
    name: Annotated[str | None, Rule(max_length=255)] = None
    """The new name."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    hostname: Annotated[str | None, Rule(max_length=255)] = None
    """The new name or address of the host."""
    username: Annotated[str | None, Rule(max_length=255)] = None
    """The new user of the SSH login."""
    password: Annotated[str | None, Rule(max_length=255)] = None
    """The new password of the SSH login."""
    sshPort: Annotated[int | None, Rule(number_range=PORTS, zero_is_unset=True)] = None
    """The new port of the SSH server."""


@handlers.handles
async def update_sftp(services: Services, message: APIUpdateSftpBackupStorageMsg, call: Call) -> Reply:
    """Update the record, and return the storage."""
    return await update_record(services, message, message.uuid, BACKUP_STORAGE)


class APIReconnectSftpBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    reply={"inventory": SFTP_BACKUP_STORAGE},
    source="domain 2.3, 3.4",
):
    """Reconnect an Sftp storage at once, without queueing behind other connects."""

    waits = True
    owned_by = "uuid"

    uuid: Existing


@handlers.handles
async def reconnect_sftp(services: Services, message: APIReconnectSftpBackupStorageMsg, call: Call) -> Reply:
    """Connect the storage, and return it. Raise ApiError BS.SFTP.1000 with its cause, and keep the status then."""
    try:
        await services.lifecycle.reconnect_at_once(message.uuid)
    except ConnectFailed as failure:
        cause = connect_error(failure)
        raise ApiError(ErrorCode("BS.SFTP.1000", cause.details, cause=cause)) from failure
    return await services.inventory(SFTP_BACKUP_STORAGE, message.uuid)
