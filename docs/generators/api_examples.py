"""Write the examples of the OpenAPI document: calls of every API, each really answered by a lab in virtual time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from typing import Any
from unittest.mock import patch

import orjson

from imagestore_sim.api import handlers_of
from imagestore_sim.api.fidelity import State, state_of
from imagestore_sim.lab import Lab
from imagestore_sim.openapi.examples import Example
from imagestore_sim.openapi.operations import inventory_of
from imagestore_sim.openapi.parameters import variables_of
from imagestore_sim.rest.messages import Message
from imagestore_sim.rest.parameters import Kind
from imagestore_sim.rest.versions import DEFAULT
from imagestore_sim.settings import Settings
from imagestore_sim.testing.client import Answer, Client
from imagestore_sim.virtual_clock import run_virtually, virtual_clock

HOST = "localhost:8080"
LONGEST_LIST = 3
"""Elements of a list that an example shows."""
PASSWORD = hashlib.sha512(b"password").hexdigest()
OTHER_PASSWORD = hashlib.sha512(b"another password").hexdigest()
ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"
SESSION = "$session"
"""Stands for the uuid of the session."""
MISSING = "f0000000000040008000000000000404"
"""The uuid of nothing."""


def _uuid(kind: str, number: int = 1) -> str:
    return f"{kind}0000000000400080000000000000{number:02}"


ZONE, STORAGE, DISASTER, SFTP, SIMULATOR = (_uuid(kind) for kind in ("a1", "b1", "b2", "b3", "b4"))
IMAGE, SECOND_IMAGE, ACCOUNT, USER, GROUP, POLICY = (_uuid(kind) for kind in ("c1", "c2", "d1", "d2", "d3", "d4"))
ROLE, KEY, PATTERN, HOOK, LONG_JOB, OTHER_LONG_JOB = (_uuid(kind) for kind in ("d5", "d6", "e1", "e2", "e3", "e4"))
LOGIN = {"accountName": "admin", "password": PASSWORD}
STATEMENT = {"name": "read", "effect": "Allow", "actions": ["*:read"]}
URL = "http://images.example/debian.qcow2"


@dataclass(frozen=True, slots=True)
class Step:
    """A call of an API. It has an example of its own unless it only prepares another."""

    api: str
    """The name of the message without `API` and `Msg`."""
    values: Mapping[str, Any] = field(default_factory=dict)
    fails: Mapping[str, Any] | None = None
    """What to change for a call that fails; None: what its declaration suggests."""
    shown: bool = True
    only_fails: bool = False
    wait: bool = True
    """Whether to wait for the end of the job."""
    seconds: float = 0
    """How long to wait before the call."""
    save: str = ""
    """A name for the uuid of the resource in the answer, which later values use as `$name`."""


STEPS: Sequence[Step] = (
    Step("LogInByAccount", LOGIN, fails={"password": "wrong"}),
    Step("LogIn", {"username": "admin", "password": PASSWORD, "loginType": "account"}, fails={"loginType": "ldap"}),
    Step("GetLoginProcedures", {"username": "admin", "loginType": "account"}, fails={"loginType": "ldap"}),
    Step("GetSupportedIdentityModels"),
    Step("ValidateSession", {"sessionUuid": SESSION}),
    Step("RenewSession", {"sessionUuid": SESSION, "duration": 7200}, fails={"duration": 5}),
    Step("GetVersion"),
    Step("GetCurrentTime"),
    Step("GetManagementNodeArch"),
    Step("GetManagementNodeOS"),
    Step("GetSupportAPIs"),
    Step("IsReadyToGo", fails={"managementNodeId": MISSING}),
    Step("GetPlatformTimeZone"),
    Step("IsOpensourceVersion"),
    Step("QueryManagementNode", save="node"),
    Step("QueryManagementNode", {"uuid": "$node"}),
    # zones
    Step("CreateZone", {"name": "zone-2", "description": "the second", "resourceUuid": ZONE}, fails={"name": None}),
    Step("QueryZone", {"q": ["name=zone-2"]}),
    Step("QueryZone", {"uuid": ZONE}),
    Step("GetZone", {"uuid": ZONE}, only_fails=True),
    Step("UpdateZone", {"uuid": ZONE, "description": "north"}),
    Step("ChangeZoneState", {"uuid": ZONE, "stateEvent": "disable"}, fails={"stateEvent": "stop"}),
    Step("ChangeZoneState", {"uuid": ZONE, "stateEvent": "enable"}, shown=False),
    # backup storages
    Step(
        "AddImageStoreBackupStorage",
        {
            "name": "imagestore-4",
            "hostname": "192.168.0.14",
            "username": "root",
            "password": "password",
            "sshPort": 22,
            "url": "/Cloud_bs",
            "resourceUuid": STORAGE,
            "userTags": ["gold"],
        },
        fails={"hostname": "imagestore-1"},
    ),
    Step(
        "AddDisasterImageStoreBackupStorage",
        {
            "name": "remote",
            "hostname": "192.168.0.15",
            "username": "root",
            "password": "password",
            "url": "/Cloud_bs",
            "resourceUuid": DISASTER,
        },
        fails={"password": None},
    ),
    Step(
        "AddSftpBackupStorage",
        {
            "name": "sftp-1",
            "hostname": "192.168.0.16",
            "username": "root",
            "password": "password",
            "url": "/sftp",
            "resourceUuid": SFTP,
        },
        fails={"url": None},
    ),
    Step(
        "AddSimulatorBackupStorage",
        {
            "name": "simulator-1",
            "url": "nfs://simulator",
            "type": "SimulatorBackupStorage",
            "totalCapacity": 10**12,
            "availableCapacity": 9 * 10**11,
            "resourceUuid": SIMULATOR,
        },
        fails={"type": "Tape"},
    ),
    Step("QueryImageStoreBackupStorage", {"q": ["hostname=192.168.0.14", "status=Connected"]}),
    Step("QueryImageStoreBackupStorage", {"uuid": STORAGE}),
    Step("QueryBackupStorage", {"q": ["availableCapacity>1000000000"], "sort": "-name", "limit": 2}),
    Step("QueryBackupStorage", {"uuid": SIMULATOR}),
    Step("QuerySftpBackupStorage", {"q": ["state=Enabled"], "fields": "uuid,name,status"}),
    Step("QuerySftpBackupStorage", {"uuid": SFTP}),
    Step("UpdateImageStoreBackupStorage", {"uuid": STORAGE, "description": "in the north"}),
    Step("UpdateSftpBackupStorage", {"uuid": SFTP, "description": "an old one"}),
    Step("UpdateBackupStorage", {"uuid": SIMULATOR, "name": "simulator-2"}),
    Step("ChangeBackupStorageState", {"uuid": SIMULATOR, "stateEvent": "disable"}, fails={"stateEvent": "stop"}),
    Step("ReconnectImageStoreBackupStorage", {"uuid": STORAGE}),
    Step("ReconnectSftpBackupStorage", {"uuid": SFTP}),
    Step("ReconnectBackupStorage", {"uuid": STORAGE}),
    Step("AttachBackupStorageToZone", {"zoneUuid": ZONE, "backupStorageUuid": STORAGE}),
    Step("GetBackupStorageCapacity", {"backupStorageUuids": [STORAGE]}, fails={"backupStorageUuids": None}),
    Step("GetBackupStorageTypes"),
    Step("SetImageStoreBackupStorageQuota", {"uuids": [STORAGE], "maxCapacity": 10**12}),
    # images
    Step(
        "AddImage",
        {"name": "debian", "url": URL, "format": "qcow2", "backupStorageUuids": [STORAGE], "resourceUuid": IMAGE},
        fails={"format": "tar"},
    ),
    Step("QueryImage", {"q": ["name~=deb%"]}),
    Step("QueryImage", {"uuid": IMAGE}),
    Step("UpdateImage", {"uuid": IMAGE, "description": "stable", "guestOsType": "Debian"}),
    Step("ChangeImageState", {"uuid": IMAGE, "stateEvent": "disable"}, fails={"stateEvent": "stop"}),
    Step("ChangeImageState", {"uuid": IMAGE, "stateEvent": "enable"}, shown=False),
    Step("SetImageBootMode", {"uuid": IMAGE, "bootMode": "UEFI"}),
    Step("SetImageQga", {"uuid": IMAGE, "enable": True}),
    Step("GetImageQga", {"uuid": IMAGE}),
    Step("SyncImageSize", {"uuid": IMAGE}),
    Step("CalculateImageHash", {"uuid": IMAGE, "backupStorageUuid": STORAGE, "algorithm": "md5"}),
    Step("GetImagesFromImageStoreBackupStorage", {"uuid": STORAGE}),
    Step(
        "SyncImageFromImageStoreBackupStorage",
        {"uuid": IMAGE, "srcBackupStorageUuid": STORAGE, "dstBackupStorageUuid": DISASTER, "name": "debian-copy"},
        save="copy",
    ),
    Step(
        "BackupStorageMigrateImage",
        {"imageUuid": IMAGE, "srcBackupStorageUuid": STORAGE, "dstBackupStorageUuid": DISASTER},
        only_fails=True,
    ),
    Step("GetBackupStorageCandidatesForImageMigration", {"srcBackupStorageUuid": STORAGE}),
    Step("GetCandidateBackupStorageForCreatingImage", {"volumeUuid": MISSING}, fails={}),
    Step("GetUploadImageJobDetails", {"imageId": IMAGE}),
    Step("ExportImageFromBackupStorage", {"backupStorageUuid": STORAGE, "imageUuid": IMAGE}),
    Step("DeleteExportedImageFromBackupStorage", {"backupStorageUuid": STORAGE, "imageUuid": IMAGE}),
    Step("DeleteImage", {"uuid": IMAGE, "backupStorageUuids": [STORAGE]}, fails={"deleteMode": "Forced"}),
    Step("RecoverImage", {"imageUuid": IMAGE}),
    Step("DeleteImage", {"uuid": IMAGE}, shown=False),
    Step("ExpungeImage", {"imageUuid": IMAGE}),
    Step("ReclaimSpaceFromImageStore", {"uuid": STORAGE}),
    Step(
        "RecoveryImageFromImageStoreBackupStorage",
        {"uuid": "$copy", "srcBackupStorageUuid": DISASTER, "dstBackupStorageUuid": STORAGE, "name": "debian-again"},
    ),
    *(
        Step(f"Create{api}", {variable: MISSING, "name": "made", **more}, only_fails=True)
        for api, variable, more in (
            ("RootVolumeTemplateFromRootVolume", "rootVolumeUuid", {"backupStorageUuids": [STORAGE]}),
            ("RootVolumeTemplateFromVolumeSnapshot", "snapshotUuid", {"backupStorageUuids": [STORAGE]}),
            ("DataVolumeTemplateFromVolume", "volumeUuid", {"backupStorageUuids": [STORAGE]}),
            ("DataVolumeTemplateFromVolumeSnapshot", "snapshotUuid", {"backupStorageUuids": [STORAGE]}),
        )
    ),
    # trash
    Step("GetTrashOnBackupStorage", {"uuid": STORAGE}),
    Step("CleanUpTrashOnBackupStorage", {"uuid": STORAGE}),
    # long jobs
    Step(
        "SubmitLongJob",
        {
            "name": "add debian",
            "jobName": "APIAddImageMsg",
            "jobData": orjson.dumps(
                {
                    "name": "debian-12",
                    "url": "http://images.example/debian-12.qcow2",
                    "format": "qcow2",
                    "backupStorageUuids": [STORAGE],
                    "resourceUuid": SECOND_IMAGE,
                }
            ).decode(),
            "resourceUuid": LONG_JOB,
        },
        fails={"jobName": "APICreateZoneMsg"},
        save="long",
    ),
    Step("QueryLongJob", {"q": ["state=Running"]}),
    Step("QueryLongJob", {"uuid": LONG_JOB}),
    Step("GetTaskProgress", {"apiId": "$call"}, seconds=1),
    Step("UpdateLongJob", {"uuid": LONG_JOB, "description": "for the tests"}),
    Step("ResumeLongJob", {"uuid": LONG_JOB}, only_fails=True),
    Step("CancelLongJob", {"uuid": LONG_JOB}),
    Step("CleanLongJob", {"uuid": LONG_JOB}, only_fails=True, seconds=60),
    Step("RerunLongJob", {"uuid": LONG_JOB}),
    Step("CancelLongJob", {"uuid": LONG_JOB}, shown=False),
    Step("DeleteLongJob", {"uuid": LONG_JOB}, seconds=60),
    # tags
    Step(
        "CreateSystemTag", {"resourceType": "BackupStorageVO", "resourceUuid": STORAGE, "tag": "onlybackup"}, save="tag"
    ),
    Step("CreateSystemTags", {"resourceType": "ZoneVO", "resourceUuid": ZONE, "tags": ["host::reservedMemory::1G"]}),
    Step("CreateUserTag", {"resourceType": "ZoneVO", "resourceUuid": ZONE, "tag": "blue"}, save="userTag"),
    Step("QuerySystemTag", {"q": [f"resourceUuid={STORAGE}"]}),
    Step("QuerySystemTag", {"uuid": "$tag"}),
    Step("QueryUserTag", {"q": ["tag=blue"]}),
    Step("QueryUserTag", {"uuid": "$userTag"}),
    Step("UpdateSystemTag", {"uuid": "$tag", "tag": "onlybackup"}),
    Step(
        "CreateTag",
        {
            "name": "environment",
            "value": "env::{name}",
            "color": "#186EAE",
            "type": "withToken",
            "resourceUuid": PATTERN,
        },
        fails={"color": "blue"},
    ),
    Step("QueryTag", {"q": ["name=environment"]}),
    Step("QueryTag", {"uuid": PATTERN}),
    Step("UpdateTag", {"uuid": PATTERN, "description": "where it runs"}),
    Step("AttachTagToResources", {"tagUuid": PATTERN, "resourceUuids": [STORAGE], "tokens": {"name": "test"}}),
    Step("DetachTagFromResources", {"tagUuid": PATTERN, "resourceUuids": [STORAGE]}),
    Step("DeleteTag", {"uuid": PATTERN}, fails={"deleteMode": "Forced"}),
    # accounts
    Step("CreateAccount", {"name": "anna", "password": PASSWORD, "resourceUuid": ACCOUNT}, fails={"name": "admin"}),
    Step("QueryAccount", {"q": ["type=Normal"]}),
    Step("QueryAccount", {"uuid": ACCOUNT}),
    Step("UpdateAccount", {"uuid": ACCOUNT, "password": OTHER_PASSWORD, "oldPassword": PASSWORD}),
    Step("CreateUser", {"name": "bert", "password": PASSWORD, "resourceUuid": USER}, fails={"name": None}),
    Step(
        "LogInByUser", {"accountName": "admin", "userName": "bert", "password": PASSWORD}, fails={"password": "wrong"}
    ),
    Step("QueryUser", {"q": ["name=bert"]}),
    Step("QueryUser", {"uuid": USER}),
    Step("UpdateUser", {"uuid": USER, "description": "a tester"}),
    Step("CreateUserGroup", {"name": "testers", "resourceUuid": GROUP}, fails={"name": None}),
    Step("QueryUserGroup", {"q": ["name=testers"]}),
    Step("QueryUserGroup", {"uuid": GROUP}),
    Step("UpdateUserGroup", {"uuid": GROUP, "description": "they test"}),
    Step("AddUserToGroup", {"userUuid": USER, "groupUuid": GROUP}),
    Step("CreatePolicy", {"name": "read", "statements": [STATEMENT], "resourceUuid": POLICY}, fails={"statements": []}),
    Step("QueryPolicy", {"q": ["name=read"]}),
    Step("QueryPolicy", {"uuid": POLICY}),
    Step("AttachPolicyToUser", {"userUuid": USER, "policyUuid": POLICY}),
    Step("DetachPolicyFromUser", {"userUuid": USER, "policyUuid": POLICY}),
    Step("AttachPoliciesToUser", {"userUuid": USER, "policyUuids": [POLICY]}),
    Step("DetachPoliciesFromUser", {"userUuid": USER, "policyUuids": [POLICY]}),
    Step("AttachPolicyToUserGroup", {"groupUuid": GROUP, "policyUuid": POLICY}),
    Step("DetachPolicyFromUserGroup", {"groupUuid": GROUP, "policyUuid": POLICY}),
    Step("CreateRole", {"name": "reader", "statements": [STATEMENT], "resourceUuid": ROLE}, fails={"name": None}),
    Step("QueryRole", {"q": ["name=reader"]}),
    Step("QueryRole", {"uuid": ROLE}),
    Step("AttachRoleToAccount", {"roleUuid": ROLE, "accountUuid": ACCOUNT}),
    Step("DetachRoleFromAccount", {"roleUuid": ROLE, "accountUuid": ACCOUNT}),
    Step(
        "CreateAccessKey",
        {
            "accountUuid": ACCOUNT,
            "userUuid": ACCOUNT,
            "AccessKeyID": "exampleAccessKey0001",
            "AccessKeySecret": "an example of a secret that is not one",
            "resourceUuid": KEY,
        },
        fails={"AccessKeyID": "short"},
    ),
    Step("QueryAccessKey", {"q": [f"accountUuid={ACCOUNT}"]}),
    Step("QueryAccessKey", {"uuid": KEY}),
    Step("ChangeAccessKeyState", {"uuid": KEY, "stateEvent": "disable"}, fails={"stateEvent": "stop"}),
    Step("DeleteAccessKey", {"uuid": KEY}, fails={"deleteMode": "Forced"}),
    Step("QueryQuota", {"q": [f"identityUuid={ACCOUNT}", "name=image.num"]}),
    Step("UpdateQuota", {"identityUuid": ACCOUNT, "name": "image.num", "value": 10}, fails={"name": "unicorn.num"}),
    Step("GetAccountQuotaUsage", {"uuid": ACCOUNT}),
    Step("ShareResource", {"resourceUuids": ["$copy"], "accountUuids": [ACCOUNT]}),
    Step("QuerySharedResource", {"q": [f"receiverAccountUuid={ACCOUNT}"]}),
    Step("RevokeResourceSharing", {"resourceUuids": ["$copy"], "accountUuids": [ACCOUNT]}),
    Step("ChangeResourceOwner", {"accountUuid": ACCOUNT, "resourceUuid": "$copy"}),
    Step("GetResourceAccount", {"resourceUuids": ["$copy"]}),
    Step("GetResourceNames", {"uuids": [STORAGE, ZONE]}),
    # configuration
    Step("QueryGlobalConfig", {"q": ["category=backupStorage", "name=ping.interval"]}),
    Step("GetGlobalConfigOptions", {"category": "backupStorage", "name": "ping.interval"}, fails={"name": "pong"}),
    Step(
        "UpdateGlobalConfig",
        {"category": "backupStorage", "name": "ping.interval", "value": "30"},
        fails={"value": "soon"},
    ),
    Step("GetResourceBindableConfig", {"category": "backupStorage"}),
    Step("GetResourceBindableConfig"),
    Step(
        "UpdateResourceConfig",
        {"category": "backupStorage", "name": "reservedCapacity", "resourceUuid": STORAGE, "value": "2G"},
    ),
    Step("QueryResourceConfig", {"q": [f"resourceUuid={STORAGE}"]}),
    Step("GetResourceConfig", {"category": "backupStorage", "name": "reservedCapacity", "resourceUuid": STORAGE}),
    Step("GetResourceConfigs", {"category": "backupStorage", "names": ["reservedCapacity"], "resourceUuid": STORAGE}),
    Step(
        "UpdateResourceConfigs",
        {
            "resourceUuid": STORAGE,
            "resourceConfigs": [{"category": "backupStorage", "name": "reservedCapacity", "value": "3G"}],
        },
    ),
    Step(
        "DeleteResourceConfig",
        {"category": "backupStorage", "name": "reservedCapacity", "resourceUuid": STORAGE},
        fails={"name": "pong"},
    ),
    Step("ResetGlobalConfig"),
    # the rest
    Step(
        "CreateWebhook",
        {
            "name": "hook-1",
            "url": "http://receiver.example/events",
            "type": "CanonicalEvent",
            "opaque": "/backup-storage/status/change",
            "resourceUuid": HOOK,
        },
        fails={"url": "nowhere"},
    ),
    Step("QueryWebhook", {"q": ["type=CanonicalEvent"]}),
    Step("QueryWebhook", {"uuid": HOOK}),
    Step("UpdateWebhook", {"uuid": HOOK, "opaque": "/backup-storage/*"}),
    Step("DeleteWebhook", {"uuid": HOOK}, fails={"deleteMode": "Forced"}),
    Step(
        "GetMetricData",
        {
            "namespace": "ZStack/BackupStorage",
            "metricName": "AvailableCapacityInBytes",
            "labels": [f"BackupStorageUuid={STORAGE}"],
            "offsetAheadOfCurrentTime": 20,
            "period": 10,
        },
        fails={"metricName": "Unicorns"},
    ),
    Step("GetAllMetricMetadata", {"name": "AvailableCapacityInBytes"}),
    Step("ZQLQuery", {"zql": "query zone where name='zone-2'"}, fails={"zql": "query unicorn"}),
    # what is deleted last
    Step("RemoveUserFromGroup", {"userUuid": USER, "groupUuid": GROUP}),
    Step("DeleteUserGroup", {"uuid": GROUP}, fails={"deleteMode": "Forced"}),
    Step("DeleteUser", {"uuid": USER}, fails={"deleteMode": "Forced"}),
    Step("DeletePolicy", {"uuid": POLICY}, fails={"deleteMode": "Forced"}),
    Step("DeleteRole", {"uuid": ROLE}, fails={"deleteMode": "Forced"}),
    Step("DeleteAccount", {"uuid": ACCOUNT}, fails={"uuid": ADMIN}),
    Step("DetachBackupStorageFromZone", {"zoneUuid": ZONE, "backupStorageUuid": STORAGE}),
    Step("DeleteBackupStorage", {"uuid": SIMULATOR}, fails={"deleteMode": "Forced"}),
    Step("DeleteZone", {"uuid": ZONE}, fails={"deleteMode": "Forced"}),
    Step("LogOut", {"sessionUuid": SESSION}),
)


def texts() -> str:
    """Return the file of examples, as JSON."""
    machine = {"machine": "x86_64", "system": "Linux", "release": "6.1.0-18-amd64"}
    with ExitStack() as stack:
        for name, value in machine.items():
            stack.enter_context(patch(f"platform.{name}", return_value=value))
        found = run_virtually(_answered())
    return orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n"


async def _answered() -> dict[str, Any]:
    clock = virtual_clock()
    async with (
        Lab(Settings(port=0, hosts=3), clock=clock) as lab,
        Client(lab.url, clock=clock, headers={"Host": HOST}) as client,
    ):
        conversation = Conversation(lab, client)
        for step in STEPS:
            await conversation.take(step)
    return dict(sorted(conversation.found.items()))


class Conversation:
    """Takes the steps, and collects what was answered."""

    def __init__(self, lab: Lab, client: Client) -> None:
        self._lab = lab
        self._client = client
        self._names: dict[str, str] = {}
        self.found: dict[str, dict[str, list[Any]]] = {}

    async def take(self, step: Step) -> None:
        """Make the call that fails, then the one that succeeds. Raise ValueError if one does otherwise."""
        await self._lab.clock.sleep(step.seconds)
        message = messages()[f"API{step.api}Msg"]
        values = {name: self._filled(value) for name, value in step.values.items()}
        known = self.found.setdefault(message.__name__, {"succeeded": [], "failed": []})
        broken = values if step.only_fails else _broken(message, values, step)
        if step.shown and broken is not None and not (known["failed"] or known["succeeded"]):
            known["failed"].append(await self._example(message, broken, fails=True))
        if step.only_fails:
            return
        example = await self._example(message, values, fails=False)
        if step.shown:
            known["succeeded"].append(example)
        self._save(step, example)

    async def _example(self, message: type[Message], values: Mapping[str, Any], *, fails: bool) -> Any:
        path = _path(message, values)
        variables = {name: str(values[name]) for name in variables_of(path)}
        query, body = _split(message, {name: one for name, one in values.items() if name not in variables})
        filled = path.format(**variables)
        pairs = [(name, str(each)) for name, one in query.items() for each in (one if isinstance(one, list) else [one])]
        answer = await self._client.request(message.api.method, filled, body, query=pairs)
        result = None
        if answer.status == 202:
            location = answer.body["location"].replace(f"http://{HOST}", self._client.url)
            result = await self._client.follow(location)
        last = result or answer
        if (last.status != 200) != fails:
            raise ValueError(f"{message.__name__} {values} was answered {last.status} {last.text}")
        example = Example(
            path=filled,
            variables=variables,
            query=query,
            body=body,
            status=answer.status,
            answer=_cut(_content(answer)),
            result=None if result is None else _cut(_content(result)),
            result_status=None if result is None else result.status,
        )
        return {one.name: getattr(example, one.name) for one in fields(example)}

    def _save(self, step: Step, example: Mapping[str, Any]) -> None:
        last = example["result"] or example["answer"]
        if step.api == "LogInByAccount":
            self._client.session_uuid = self._names["session"] = last["inventory"]["uuid"]
        if step.save:
            self._names[step.save] = (last.get("inventory") or last["inventories"][0])["uuid"]
            if example["status"] == 202:
                self._names["call"] = example["answer"]["location"].rpartition("/")[2]

    def _filled(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        if isinstance(value, str) and value.startswith("$"):
            return self._names[value[1:]]
        return value


def messages() -> Mapping[str, type[Message]]:
    """Return the messages of all APIs that are in the document, by name."""
    working = (State.SAME, State.DEVIATES)
    found = handlers_of(DEFAULT).by_message.items()
    return {message.__name__: message for message, handler in found if state_of(message, handler) in working}


def _broken(message: type[Message], values: Mapping[str, Any], step: Step) -> dict[str, Any] | None:
    """Return the values of a call that fails; None if nothing suggests one."""
    if step.fails is not None:
        changed = {**values, **step.fails}
        return {name: one for name, one in changed.items() if one is not None} if step.fails else None
    if inventory_of(message) is not None:
        return None if "uuid" in values else {"q": ["unicorn=1"]}
    for one in message.api.parameters:
        if one.rule.resource and not one.rule.missing_is_done and one.name in values:
            return {**values, one.name: [MISSING] if one.kind is Kind.STRINGS else MISSING}
    return None


def _path(message: type[Message], values: Mapping[str, Any]) -> str:
    """Return the first of the paths with the most variables that have values."""
    fitting = [path for path in message.api.paths if values.keys() >= set(variables_of(path))]
    return max(fitting, key=lambda path: len(variables_of(path)))


def _split(message: type[Message], values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what goes into the query string, and the body."""
    if message.api.method in ("GET", "DELETE"):
        return values, None
    tags: dict[str, Any] = {name: values.pop(name) for name in ("systemTags", "userTags") if name in values}
    return {}, {message.api.body_key: values, **tags}


def _content(answer: Answer) -> Any:
    try:
        return orjson.loads(answer.text)
    except orjson.JSONDecodeError:
        return answer.text


def _cut(content: Any) -> Any:
    """Return what was answered, with lists no longer than an example needs."""
    if isinstance(content, list):
        return [_cut(one) for one in content[:LONGEST_LIST]]
    if not isinstance(content, dict):
        return content
    schema = content.get("schema")
    cut = {name: _cut(one) for name, one in content.items()}
    if isinstance(schema, dict) and len(schema) > LONGEST_LIST:
        cut["schema"] = dict(_kept(schema))
    return cut


def _kept(schema: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the members of a schema that are about the elements that were not cut off."""
    for name, java_class in schema.items():
        _, bracket, rest = name.partition("[")
        if not bracket or int(rest.partition("]")[0]) < LONGEST_LIST:
            yield name, java_class
