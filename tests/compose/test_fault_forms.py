"""Every kind of fault, on a host in a container and on a simulated one: a probe meets the same on both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from simulator.clock import RealClock
from simulator.hosts import HostNetwork
from simulator.hosts.faults import FAULTS, Fault, read_fault
from simulator.probe import Capacity, Layout, ProbeFailure, Prober, Reason, Target
from simulator.scenario.compose import forms
from simulator.scenario.compose.engine import EngineProblem, prepare
from simulator.scenario.compose.playing import read_for_containers
from simulator.scenario.compose.world import ComposeWorld
from simulator.scenario.embedded import make_host
from simulator.scenario.model import Host

GIB = 2**30
TIB = 2**40
ROOT = "imagestore-1"
STORE = "imagestore-2"
"""Its account is not root's, and its disk is mounted above the storage."""
URLS = {ROOT: "/Cloud_bs", STORE: "/data/store"}
SCENARIO = f"""\
title: Hosts for faults
hosts:
  {ROOT}: {{size: 1 TiB, used: 40%}}
  {STORE}: {{size: 1 TiB, used: 300 GiB, username: store, mount: /data}}
storages:
  - {{name: gold, hostname: {ROOT}}}
  - {{name: silver, hostname: {STORE}, url: {URLS[STORE]}, username: store}}
settings: {{ping.interval: 1h}}
"""
PASSWORD = "password"

Outcome = Reason | tuple[int, int, bool]
"""Why a probe failed; or total and available bytes, and whether the file system is read-only."""
Heal = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """A fault, and what becomes of a probe that logs in meanwhile: None where it brings a capacity."""

    kind: str
    reason: Reason | None
    parameters: dict[str, object] = field(default_factory=dict)
    host: str = ROOT
    heals: bool = True

    @property
    def fault(self) -> Fault:
        return read_fault(self.kind, self.parameters)

    def __str__(self) -> str:
        shown = (f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.kind}({', '.join(shown)}) on {self.host}"


CASES = [
    Case("blackhole", Reason.TIMEOUT),
    Case("unreachable", Reason.UNREACHABLE),
    Case("half_open", Reason.TIMEOUT, host=STORE),
    Case("refuse", Reason.REFUSED),
    Case("refuse", Reason.REFUSED, {"cut": False}),
    Case("reset_on_connect", Reason.RESET),
    Case("reset_after", Reason.RESET, {"size": 1024}),
    Case("reset_after", None, {"size": 65536}),
    Case("cut_mid_probe", Reason.RESET, host=STORE),
    Case("latency", None, {"delay": "50ms", "jitter": "20ms"}),
    Case("latency", Reason.TIMEOUT, {"delay": "2s"}),
    Case("rate", None, {"rate": "32 KiB"}),
    Case("rate", Reason.TIMEOUT, {"rate": 100}),
    Case("not_ssh", Reason.NOT_SSH),
    Case("stale", None, host=STORE),
    Case("cut", None),
    Case("cut", None, {"count": 1}, host=STORE),
    Case("max_startups", Reason.BUSY),
    Case("max_startups", Reason.BUSY, {"how": "close"}),
    Case("max_startups", Reason.RESET, {"how": "reset"}),
    Case("max_startups", None, {"start": 3, "full": 5}),
    Case("max_sessions", Reason.BUSY),
    Case("auth_failure", Reason.AUTH_FAILED),
    Case("password_rotated", Reason.AUTH_FAILED, {"password": "new 'secret'"}, host=STORE),
    Case("account_locked", Reason.AUTH_FAILED, {"username": "store"}, host=STORE),
    Case("account_locked", None, {"username": "store"}),
    Case("host_key_changed", None),
    Case("slow_login", None, {"seconds": "500ms"}),
    Case("slow_login", Reason.TIMEOUT, {"seconds": "2s"}),
    Case("no_sftp", None),
    Case("no_sftp", None, {"cut": False}),
    Case("no_statvfs", None),
    Case("forced_command", Reason.NO_CAPACITY),
    Case("forced_command", Reason.NO_CAPACITY, {"cut": False, "says": "it's 100%\n", "status": 3}),
    Case("empty_answers", Reason.NO_CAPACITY),
    Case("noisy_shell", None),
    Case("command_missing", None),
    Case("hung_command", Reason.HUNG),
    Case("hung_command", None, {"commands": ("df",)}),
    Case("hung_sftp", Reason.HUNG, host=STORE),
    Case("killed_session", Reason.RESET, host=STORE),
    Case("fill", None),
    Case("fill", None, {"to": "90%"}, host=STORE),
    Case("resize", None, {"size": "3 TiB"}, heals=False),
    Case("read_only", None),
    Case("zero_capacity", Reason.NO_CAPACITY),
    Case("zero_capacity", Reason.NO_CAPACITY, {"path": "/data"}, host=STORE),
    Case("unmounted", Reason.NOT_MOUNTED, {"path": "/Cloud_bs"}),
    Case("replaced_disk", Reason.NOT_MOUNTED, {"path": "/Cloud_bs", "size": "8 TiB"}),
    Case("path_gone", Reason.NO_SUCH_PATH, {"path": "/Cloud_bs"}),
    Case("path_gone", Reason.NO_SUCH_PATH, {"path": "/data/store"}, host=STORE),
    Case("path_is_file", Reason.NOT_A_DIRECTORY, {"path": "/Cloud_bs"}),
    Case("path_is_file", Reason.NOT_A_DIRECTORY, {"path": "/data/store"}, host=STORE),
    Case("permission_denied", Reason.PERMISSION_DENIED, {"path": "/Cloud_bs"}),
    Case("permission_denied", Reason.PERMISSION_DENIED, {"path": "/data/store"}, host=STORE),
    Case("hung_mount", Reason.HUNG, {"path": "/Cloud_bs"}),
]
# Last, because there is no way back.
CASES.sort(key=lambda case: not case.heals)

REFUSED = [
    ("out_of_inodes", {}, "XFS, which the disks are, makes inodes for as long as there is space"),
    ("resize", {"size": "500 GiB"}, "XFS, which the disks are, cannot shrink"),
    ("resize", {"size": "3 TiB", "for": "1m"}, "XFS, which the disks are, cannot shrink to its former size"),
    ("max_startups", {"rate": 0}, "sshd's MaxStartups takes a rate of 1 to 100"),
    ("command_missing", {"commands": ("df", "sh")}, "sh: is, or is a part of, the shell itself"),
    ("hung_command", {"commands": ("test", "echo")}, "echo, test: is, or is a part of, the shell itself"),
    ("replaced_disk", {"path": "/data", "used": "1 GiB"}, "what is in use on it would have to be in memory"),
    ("fill", {"path": "/var"}, "/var is on the disk of the engine's own machine"),
]


def test_every_kind_has_a_form_or_is_refused_with_a_reason() -> None:
    assert forms.FORMS.keys() == FAULTS.keys()
    assert all(form.how for form in forms.FORMS.values())
    assert {kind for kind, form in forms.FORMS.items() if form.begin} == {case.kind for case in CASES}


@pytest.mark.parametrize(("kind", "parameters", "why"), REFUSED)
def test_what_no_container_can_have_is_refused_by_name(kind: str, parameters: dict[str, object], why: str) -> None:
    with pytest.raises(forms.Refused, match=f"^fault {kind}: not on containers: {why}"):
        forms.check(read_fault(kind, parameters), Host(size=TIB, mount="/data"))


def test_a_container_gets_no_right_that_its_faults_do_without() -> None:
    host = Host(size=TIB)
    assert forms.check(read_fault("password_rotated", {}), host) == forms.Needs()
    firewall, hung = (read_fault(kind, {"path": "/x"} if kind == "hung_mount" else {}) for kind in ("cut_mid_probe", "hung_mount"))
    both = forms.check(firewall, host) | forms.check(hung, host)
    assert both == forms.Needs(frozenset({"NET_ADMIN", "SYS_ADMIN"}), frozenset({"/dev/fuse"}))


# On containers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ComposeWorld]:
    """Both hosts, with the rights for every fault here, and a node that leaves them alone."""
    file = tmp_path_factory.mktemp("forms") / "hosts.yaml"
    steps = [{"at": "1h", "fault": {"host": case.host, "kind": case.kind, **case.fault.values()}} for case in CASES]
    file.write_text(SCENARIO + yaml.safe_dump({"timeline": steps}))
    try:
        await prepare()
    except EngineProblem as problem:
        pytest.skip(str(problem))
    async with ComposeWorld(read_for_containers(file), RealClock(), 0, lambda _event: None) as world:
        yield world


async def outcomes(prober: Prober, target: Target, begin: Callable[[], Awaitable[Heal]], heals: bool) -> list[Outcome]:
    """Of a probe over a connection that was open before, of one that logs in, and of both when all is well again."""
    assert isinstance(await prober.probe(target, layout=Layout.CREATE), Capacity)
    heal = await begin()
    found = [outcome(await prober.probe(target, fresh=fresh)) for fresh in (False, True)]
    await heal()
    if heals:
        found += [outcome(await prober.probe(target, fresh=fresh)) for fresh in (False, True)]
    return found


def outcome(found: Capacity | ProbeFailure) -> Outcome:
    return found.reason if isinstance(found, ProbeFailure) else (found.total, found.available, found.read_only)


def new_prober(world: ComposeWorld | HostNetwork, case: Case) -> Prober:
    seconds = 1 if case.reason is Reason.TIMEOUT else 5  # sshd takes two to say that a password is wrong
    return Prober(RealClock(), resolve=world.resolve, connect_timeout=seconds, command_timeout=1, busy_pauses=())


async def on_a_container(world: ComposeWorld, case: Case) -> list[Outcome]:
    async def begin() -> Heal:
        return (await world.hosts[case.host].apply(case.fault)).heal

    prober = new_prober(world, case)
    try:
        return await outcomes(prober, target_of(world, case), begin, case.heals)
    finally:
        await prober.close()


async def on_a_simulated_host(world: ComposeWorld, case: Case) -> list[Outcome]:
    hosts = HostNetwork()
    host = make_host(case.host, world.scenario.all_hosts()[case.host], RealClock(), 0)

    async def begin() -> Heal:
        return (await host.faults.apply(case.fault)).heal

    prober = new_prober(hosts, case)
    try:
        await hosts.add(host)
        return await outcomes(prober, target_of(world, case), begin, case.heals)
    finally:
        await prober.close()
        await hosts.close()


def target_of(world: ComposeWorld, case: Case) -> Target:
    username = world.scenario.all_hosts()[case.host].username
    return Target(case.host, 22, username, URLS[case.host], PASSWORD)


@pytest.mark.compose
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_probe_meets_the_same_on_both_kinds_of_hosts(world: ComposeWorld, case: Case) -> None:
    real, simulated = await asyncio.gather(on_a_container(world, case), on_a_simulated_host(world, case))
    assert real == simulated
    assert real[1] == case.reason or (case.reason is None and isinstance(real[1], tuple))
