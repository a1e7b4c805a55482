"""Reads a bootstrap file; what is wrong with one is told with its line and field."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from imagestore_sim.backup_storage.address_rules import check_hostname, check_url
from imagestore_sim.backup_storage.errors import InvalidRequest
from imagestore_sim.backup_storage.records import HOSTS, SFTP_TYPE
from imagestore_sim.bootstrap.records import BackupStorageRecord, Bootstrap, TagRecord, uuid_of
from imagestore_sim.database.global_config import InvalidOption
from imagestore_sim.database.models import ADMIN_UUID
from imagestore_sim.database.zstack_global_config import zstack_options
from imagestore_sim.host_names import is_ipv6
from imagestore_sim.rest.accounts import ADMIN_NAME
from imagestore_sim.validation_errors import first_problem
from imagestore_sim.yaml_text import BoundedLoader, read_yaml

Place = Sequence[int | str]
"""The way to a field: names of members, and numbers in lists from 0."""


class BootstrapError(Exception):
    """A bootstrap file that cannot be used; the text names file, line and field. Nothing has been changed."""


class _Loader(BoundedLoader):
    """YAML with null and booleans only: every other scalar stays text, so that 007 and 1e5 are not mistaken."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:bool")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _NoVariable(yaml.constructor.ConstructorError):
    """`!env` where it cannot be had: without the variable that it names, or in what came over the network."""


class _FileLoader(_Loader):
    """Reads a file that somebody has named on this machine, which may ask for the environment."""


def _refuse_environment(loader: _Loader, node: yaml.Node) -> str:
    text = "!env reads the environment of this machine, so it stands only in files named on the command line"
    raise _NoVariable(None, None, text, node.start_mark)


def _from_environment(loader: _FileLoader, node: yaml.Node) -> str:
    """`!env NAME`: the value of a variable, so that a password need not stand in the file."""
    name = node.value if isinstance(node, yaml.ScalarNode) else ""
    if name not in os.environ:
        problem = f"no variable {name} is set, which !env asks for" if name else "!env needs the name of a variable"
        raise _NoVariable(None, None, problem, node.start_mark)
    return os.environ[name]


_Loader.add_constructor("!env", _refuse_environment)
_FileLoader.add_constructor("!env", _from_environment)


def read_bootstrap(file: Path) -> Bootstrap:
    """The records in a file. Raises BootstrapError."""
    try:
        return _parse(file.read_bytes(), str(file), _FileLoader)
    except OSError as error:
        raise BootstrapError(f"{file}: cannot be read: {error.strerror}") from None


def parse_bootstrap(raw: bytes, file: str) -> Bootstrap:
    """The records in a text that came over the network, which goes by a name in what is said of it.

    It reads nothing of this machine. Raises BootstrapError.
    """
    return _parse(raw, file, _Loader)


def _parse(raw: bytes, file: str, loader: type[_Loader]) -> Bootstrap:
    try:
        text = raw.decode("utf-8")
        tree, content = read_yaml(text, loader)
    except UnicodeDecodeError:
        raise BootstrapError(f"{file}: is not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else file
        said = "" if isinstance(error, _NoVariable) else "not valid YAML: "
        raise BootstrapError(f"{where}: {said}{error.problem}") from None
    except yaml.YAMLError as error:
        raise BootstrapError(f"{file}: not valid YAML: {error}") from None
    try:
        bootstrap = Bootstrap.model_validate({} if content is None else content)
    except ValidationError as error:
        problem = first_problem(error)
        raise BootstrapError(_complaint(file, tree, problem.place, problem.text)) from None
    for place, complaint in _broken_rules(bootstrap):
        raise BootstrapError(_complaint(file, tree, place, complaint))
    return bootstrap


def _complaint(file: str, tree: yaml.Node | None, place: Place, message: str) -> str:
    field = ".".join(str(step) for step in place) or "the file"
    return f"{file}, line {_line(tree, place)}: {field}: {message}"


def _line(node: yaml.Node | None, place: Place) -> int:
    """The line (from 1) on which a field stands, or the nearest thing around it that does."""
    line = 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                break
            key, node = found[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line


def _broken_rules(bootstrap: Bootstrap) -> Iterator[tuple[Place, str]]:
    """What the fields' types cannot tell: hostnames, urls, references and uniqueness."""
    zones = {uuid_of("zone", one) for one in bootstrap.zones}
    storages = {uuid_of("backup-storage", one) for one in bootstrap.backupStorages}
    yield from _repeated("backupStorages", "hostname", [one.hostname for one in bootstrap.backupStorages])
    yield from _repeated("backupStorages", "uuid", [one.uuid for one in bootstrap.backupStorages])
    yield from _repeated("zones", "uuid", [one.uuid for one in bootstrap.zones])
    yield from _repeated("images", "uuid", [one.uuid for one in bootstrap.images])
    yield from _repeated("accounts", "name", [one.name for one in bootstrap.accounts])
    yield from _repeated("accounts", "uuid", [one.uuid for one in bootstrap.accounts])
    yield from _repeated("accessKeys", "accessKeyId", [one.accessKeyId for one in bootstrap.accessKeys])
    yield from _repeated("accessKeys", "uuid", [one.uuid for one in bootstrap.accessKeys])
    yield from _repeated("webHooks", "uuid", [one.uuid for one in bootstrap.webHooks])
    yield from _repeated_inside(bootstrap)
    for index, account in enumerate(bootstrap.accounts):
        if account.uuid == ADMIN_UUID and account.name != ADMIN_NAME:
            yield ("accounts", index, "uuid"), f"is that of {ADMIN_NAME}"
        for place, complaint in _repeated("users", "name", [user.name for user in account.users]):
            yield ("accounts", index, *place), complaint
    for index, storage in enumerate(bootstrap.backupStorages):
        for field, complaint in _broken_host(storage):
            yield ("backupStorages", index, field), complaint
        if storage.availableCapacity > storage.totalCapacity:
            yield ("backupStorages", index, "availableCapacity"), "is more than totalCapacity"
        for number, zone in enumerate(storage.attachedZoneUuids):
            if zone not in zones:
                yield ("backupStorages", index, "attachedZoneUuids", number), f"no zone has the uuid {zone}"
    yield from _broken_options(bootstrap.globalConfig)
    for index, image in enumerate(bootstrap.images):
        for number, ref in enumerate(image.backupStorageRefs):
            if ref.backupStorageUuid not in storages:
                complaint = f"no backup storage has the uuid {ref.backupStorageUuid}"
                yield ("images", index, "backupStorageRefs", number, "backupStorageUuid"), complaint


def _broken_options(options: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[Place, str]]:
    declared = zstack_options()
    for category, by_name in options.items():
        for name, value in by_name.items():
            option = declared.get((category, name))
            if option is None:
                yield ("globalConfig", category, name), "there is no such option"
                continue
            try:
                option.read(option, value)
            except InvalidOption as error:
                yield ("globalConfig", category, name), str(error)


def _broken_host(storage: BackupStorageRecord) -> Iterator[tuple[str, str]]:
    if storage.type not in HOSTS:
        if storage.hostname is not None:
            yield "hostname", f"a {storage.type} has no host"
        return
    if storage.hostname is None:
        yield "hostname", "Field required"
        return
    try:
        if not is_ipv6(storage.hostname):  # which ZStack's API refuses, but a host of one's own may have no other
            check_hostname(storage.hostname)
    except InvalidRequest as error:
        yield "hostname", str(error)
    try:
        check_url(storage.url, sftp=storage.type == SFTP_TYPE)
    except InvalidRequest as error:
        yield "url", str(error)


def _repeated_inside(bootstrap: Bootstrap) -> Iterator[tuple[Place, str]]:
    """What only one of all users and tags, and of an image's places, may have."""
    users = [
        (("accounts", index, "users", number, "uuid"), user.uuid)
        for index, account in enumerate(bootstrap.accounts)
        for number, user in enumerate(account.users)
    ]
    yield from _twice(users)
    for field in ("systemTags", "userTags"):
        yield from _twice(_tag_uuids(bootstrap, field))
    for index, image in enumerate(bootstrap.images):
        for place, complaint in _repeated(
            "backupStorageRefs", "backupStorageUuid", [ref.backupStorageUuid for ref in image.backupStorageRefs]
        ):
            yield ("images", index, *place), complaint


def _tag_uuids(bootstrap: Bootstrap, field: str) -> Iterator[tuple[Place, str | None]]:
    for section in ("zones", "backupStorages", "images", "webHooks"):
        for index, record in enumerate(getattr(bootstrap, section)):
            for number, tag in enumerate(getattr(record, field)):
                if isinstance(tag, TagRecord):
                    yield (section, index, field, number, "uuid"), tag.uuid


def _repeated(section: str, field: str, values: Sequence[Hashable]) -> Iterator[tuple[Place, str]]:
    return _twice(((section, index, field), value) for index, value in enumerate(values))


def _twice(values: Iterable[tuple[Place, Hashable]]) -> Iterator[tuple[Place, str]]:
    """The places of values that stand at an earlier place, too."""
    seen: set[Hashable] = set()
    for place, value in values:
        if value is not None and value in seen:
            yield place, f"{value} stands there twice"
        seen.add(value)
