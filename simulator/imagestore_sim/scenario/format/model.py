"""The model of a scenario file: hosts, storages, settings, timeline, invariants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from imagestore_sim.identity.quotas import NAMES as QUOTAS
from imagestore_sim.images.sources import ImageSource
from imagestore_sim.scenario.format.expectations import Invariant
from imagestore_sim.scenario.format.node_steps import MOST_NODES, node_names
from imagestore_sim.scenario.format.options import check_settings
from imagestore_sim.scenario.format.oracle import OF_SEVERAL_NODES, OracleName, OracleNames
from imagestore_sim.scenario.format.order import OrderRecord
from imagestore_sim.scenario.format.schema import ScenarioModel, expand_range, reject, unknown
from imagestore_sim.scenario.format.steps import Step
from imagestore_sim.statvfs import INODES
from imagestore_sim.units import Amount, Bytes, BytesOrShare, Path, Seconds, size_text

ZONE = "zone-1"


class HostRecord(ScenarioModel):
    """A simulated host: its disk, who may log in, and what its sshd offers."""

    size: Bytes = Field(2**40, description="of its disk")
    used: BytesOrShare = Field(Amount("0%", 0.0, 0), description="how much of it is in use")
    reserved: BytesOrShare = Field(Amount("0%", 0.0, 0), description="how much of it is kept for root")
    inodes: int = Field(INODES, ge=0, description="files and directories that the disk can hold; 0: not counted")
    mount: Path | None = Field(None, description="where the disk is mounted, beside a root's of 50 GiB; / if unset")
    port: int = Field(22, ge=1, le=65535, description="that its sshd is known by")
    username: str = Field("root", description="who may log in")
    password: str = Field("password", description="with which password", repr=False)
    sftp: bool = Field(True, description="whether sshd has SFTP")
    statvfs: bool = Field(True, description="whether its SFTP server knows statvfs@openssh.com")

    @model_validator(mode="after")
    def _fits_its_disk(self) -> Self:
        for name, amount in (("used", self.used), ("reserved", self.reserved)):
            if amount.of(self.size) > self.size:
                reject((name,), f"expected no more than the disk's {size_text(self.size)}, but got {amount}")
        return self


class StorageRecord(ScenarioModel):
    """An ImageStore storage that exists, connected, when the story begins."""

    name: str
    hostname: str = Field(description="one of the hosts")
    url: Path = "/Cloud_bs"
    description: str | None = None
    username: str = "root"
    password: str = Field("password", repr=False)
    port: int = Field(22, ge=1, le=65535)
    zone: str | None = Field(None, description="that it is attached to; the first one if unset")

    def expand_range(self) -> Iterator[StorageRecord]:
        """Yield the storages that a record with ranges in its name and hostname stands for. Raise ValueError."""
        names, hosts = expand_range(self.name), expand_range(self.hostname)
        if len(names) != len(hosts):
            text = f"{self.name} stands for {len(names)} storages, but {self.hostname} for {len(hosts)} hosts"
            raise ValueError(text)
        for name, host in zip(names, hosts, strict=True):
            yield self.model_copy(update={"name": name, "hostname": host})


class NodeOptions(ScenarioModel):
    """How each management node is started."""

    probe_connection: Literal["warm", "fresh"] = "warm"
    probe_keep_alive: Seconds = Field(30.0, gt=0, description="after which an idle connection is asked if it lives")
    host_keys: Literal["ignore", "tofu", "strict"] = "ignore"
    strict: bool = False
    read_only_hosts: bool = False
    write_images: bool = Field(True, description="whether images have files on the hosts; else they are records")
    cluster_mode: Literal["faithful", "quick"] = Field(
        "faithful", description="how soon several nodes take over from one that is gone (docs/cluster.md)"
    )


class ImageSourceRecord(ScenarioModel):
    """What the images weigh whose url matches a glob, and how fast they come; the first that matches counts."""

    url: str = Field(min_length=1, max_length=1024, description="glob of urls: `*`, `?`, `[…]`")
    size: Bytes | None = Field(None, description="of the virtual disk")
    actualSize: Bytes | None = Field(None, description="of the file")
    format: str | None = Field(None, description="what the file turns out to be")
    rate: Bytes | None = Field(None, gt=0, description="per second")
    error: str | None = Field(None, description="a download fails with this text")

    def source(self) -> ImageSource:
        """Return it in the form of the node."""
        return ImageSource(self.url, self.size, self.actualSize, self.format, self.rate, self.error)


class AccountRecord(ScenarioModel):
    """An account beside admin, whose password is `password`."""

    quotas: dict[str, Bytes] = Field({}, description="by name, such as image.num or image.size")

    @field_validator("quotas")
    @classmethod
    def _knows_its_quotas(cls, quotas: dict[str, int]) -> dict[str, int]:
        for name in quotas:
            if name not in QUOTAS:
                reject((name,), unknown(name, sorted(QUOTAS)))
        return quotas


class Scenario(ScenarioModel):
    """A failure scenario: hosts and storages, what happens to them and when, and what has to be seen."""

    title: str = Field(min_length=1, description="what happens, in a line")
    description: str = Field("", description="why it matters in the field")
    seed: int = Field(0, description="of everything that is left to chance")
    order: OrderRecord | None = Field(None, description="what runs first in virtual time, where it is not as usual")
    hosts: dict[str, HostRecord] = Field(min_length=1, description="by name; imagestore-{1..3} stands for three")
    zones: tuple[str, ...] = Field((ZONE,), description="names of zones")
    storages: tuple[StorageRecord, ...] | None = Field(None, description="one on each host, by its name, if unset")
    nodes: int = Field(1, ge=1, le=MOST_NODES, description="management nodes over one database: node-1, node-2...")
    node: NodeOptions = NodeOptions()
    imageSources: tuple[ImageSourceRecord, ...] = Field((), description="what the images weigh that are added")
    accounts: dict[str, AccountRecord] = Field({}, description="by name; `account` of a step says whose call it is")
    settings: dict[str, Any] = Field({}, description="options of the global configuration by name: ping.interval: 10s")
    timeline: tuple[Step, ...] = Field(min_length=1)
    invariants: tuple[Invariant, ...] = ()
    oracle: OracleNames = Field(
        (),
        description="invariants of every story that are decided when it has ended, or `all` (docs/explore.md); with"
        " these, steps that act may fail, unless they say what they expect",
    )
    ends: Seconds | None = Field(None, description="when the scenario ends, in any case; after the last step if unset")

    @field_validator("hosts", mode="before")
    @classmethod
    def _allow_hosts_without_a_value(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {str(name): {} if host is None else host for name, host in value.items()}
        return value

    @model_validator(mode="after")
    def _knows_its_options(self) -> Self:
        check_settings(self.settings)
        return self

    def all_hosts(self) -> dict[str, HostRecord]:
        """Return every host by its name. Raise ValueError for a bad range."""
        return {name: host for names, host in self.hosts.items() for name in expand_range(names)}

    def all_nodes(self) -> list[str]:
        """Return the names of the management nodes."""
        return node_names(self.nodes)

    @property
    def judged(self) -> Sequence[OracleName]:
        """The invariants that decide it: of `all` those that are about as many nodes as it has."""
        if self.nodes > 1 or len(self.oracle) < len(OracleName):
            return self.oracle
        return [one for one in self.oracle if one not in OF_SEVERAL_NODES]

    def zones_of(self, storage: StorageRecord) -> tuple[str, ...]:
        """Return the names of the zones that a storage is attached to: one, or none."""
        return (storage.zone,) if storage.zone else self.zones[:1]

    def all_storages(self) -> list[StorageRecord]:
        """Return every storage; without `storages`, one on each host. Raise ValueError for a bad range."""
        if self.storages is None:
            return [StorageRecord(name=name, hostname=name, username=host.username, password=host.password,
                                  port=host.port, url=host.mount or "/Cloud_bs")
                    for name, host in self.all_hosts().items()]  # fmt: skip
        return [one for record in self.storages for one in record.expand_range()]
