"""Every kind of fault, on a container host and on a simulated one: a probe meets the same on both."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from imagestore_sim.clock import RealClock
from imagestore_sim.containers.container import Container
from imagestore_sim.containers.errors import ContainerProblem, EngineProblem
from imagestore_sim.containers.faults import IMPLEMENTATIONS, Refused, Requirements, requirements_of
from imagestore_sim.containers.host import SCRIPT_SECONDS
from imagestore_sim.containers.preparation import prepare
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.faults import Fault, read_fault
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.probe import Capacity, HostKeyPolicy, Layout, Method, PingMode, ProbeFailure, Prober, Reason, Target
from imagestore_sim.scenario.replay_on_containers import read_for_containers
from imagestore_sim.scenario.worlds.containers import ContainersWorld
from imagestore_sim.scenario.worlds.simulated import make_host
from rows import rows

GIB = 2**30
TIB = 2**40
ROOT = "imagestore-1"
TWIN = "imagestore-2"
"""Equal to the first, so that two of its cases run at the same time."""
STORE = "imagestore-3"
"""Its account is not root, and its disk is mounted above the storage."""
URLS = {ROOT: "/Cloud_bs", TWIN: "/Cloud_bs", STORE: "/data/store"}
ALIKE = {ROOT: (ROOT, TWIN), STORE: (STORE,)}
SCENARIO = f"""\
title: Hosts for faults
hosts:
  {ROOT}: {{size: 1 TiB, used: 40%}}
  {TWIN}: {{size: 1 TiB, used: 40%}}
  {STORE}: {{size: 1 TiB, used: 300 GiB, username: store, mount: /data}}
storages:
  - {{name: gold, hostname: {ROOT}}}
  - {{name: twin, hostname: {TWIN}}}
  - {{name: silver, hostname: {STORE}, url: {URLS[STORE]}, username: store}}
settings: {{ping.interval: 1h}}
"""
PASSWORD = "password"

Heal = Callable[[], Awaitable[None]]
Outcome = Reason | tuple[int, int, bool | None, Method]
"""Why a probe failed; or total and available bytes, whether the file system is read-only, and the method."""


@dataclass(frozen=True)
class Case:
    """Faults on a host, and why a probe that logs in meanwhile fails: None where it finds a capacity."""

    faults: tuple[Fault, ...]
    reason: Reason | None
    host: str = ROOT
    host_keys: HostKeyPolicy = HostKeyPolicy.IGNORE

    @property
    def heals(self) -> bool:
        """Whether its faults can be healed."""
        return all(fault.kind != "resize" for fault in self.faults)

    def __str__(self) -> str:
        shown = (f"{one.kind} {one.values() or ''}".strip() for one in self.faults)
        return f"{' and '.join(shown)} on {self.host}, keys {self.host_keys}"


def case(
    kind: str, reason: Reason | None, host: str = ROOT, keys: HostKeyPolicy = HostKeyPolicy.IGNORE, **parameters: object
) -> Case:
    return Case((read_fault(kind, parameters),), reason, host, keys)


def several(reason: Reason | None, *kinds: tuple[str, dict[str, object]], host: str = ROOT) -> Case:
    return Case(tuple(read_fault(kind, parameters) for kind, parameters in kinds), reason, host)


URL: dict[str, object] = {"path": "/Cloud_bs"}
DATA: dict[str, object] = {"path": "/data"}
CASES = [
    case("blackhole", Reason.TIMEOUT),
    case("unreachable", Reason.UNREACHABLE),
    case("half_open", Reason.TIMEOUT, STORE),
    case("refuse", Reason.REFUSED),
    case("refuse", Reason.REFUSED, cut=False),
    case("reset_on_connect", Reason.RESET),
    case("reset_after", Reason.RESET, size=1024),
    case("reset_after", None, size=65536),
    case("cut_mid_probe", Reason.RESET, STORE),
    case("latency", None, delay="50ms", jitter="20ms"),
    case("rate", None, rate="32 KiB"),
    case("not_ssh", Reason.NOT_SSH),
    case("stale", None, STORE),
    case("cut", None),
    case("cut", None, STORE, count=1),
    case("max_startups", Reason.BUSY),
    case("max_startups", Reason.BUSY, how="close"),
    case("max_startups", Reason.RESET, how="reset"),
    case("max_startups", None, start=3, full=5),
    case("max_sessions", Reason.BUSY),
    case("auth_failure", Reason.AUTH_FAILED),
    case("password_rotated", Reason.AUTH_FAILED, STORE, password="new 'secret'"),
    case("account_locked", Reason.AUTH_FAILED, STORE, username="store"),
    case("account_locked", None, username="store"),
    case("host_key_changed", None),
    case("host_key_changed", Reason.HOST_KEY_CHANGED, keys=HostKeyPolicy.TOFU),
    case("slow_login", None, seconds="500ms"),
    case("slow_login", Reason.TIMEOUT, seconds="8s"),
    case("no_sftp", None),
    case("no_sftp", None, cut=False),
    case("no_statvfs", None),
    case("forced_command", Reason.NO_CAPACITY),
    case("forced_command", Reason.NO_CAPACITY, cut=False, says="it's 100%\n", status=3),
    case("empty_answers", Reason.NO_CAPACITY),
    case("noisy_shell", None),
    case("command_missing", None),
    case("hung_command", Reason.HUNG),
    case("hung_sftp", Reason.HUNG, STORE),
    case("killed_session", Reason.RESET, STORE),
    case("fill", None),
    case("fill", None, STORE, to="90%"),
    case("read_only", None),
    case("zero_capacity", Reason.NO_CAPACITY),
    case("zero_capacity", Reason.NO_CAPACITY, STORE, path="/data"),
    case("unmounted", Reason.NOT_MOUNTED, path="/Cloud_bs"),
    case("replaced_disk", Reason.NOT_MOUNTED, path="/Cloud_bs", size="8 TiB", used="1 MiB"),
    case("path_gone", Reason.NO_SUCH_PATH, path="/Cloud_bs"),
    case("path_gone", Reason.NO_SUCH_PATH, STORE, path="/data/store"),
    case("path_is_file", Reason.NOT_A_DIRECTORY, path="/Cloud_bs"),
    case("path_is_file", Reason.NOT_A_DIRECTORY, STORE, path="/data/store"),
    case("permission_denied", Reason.PERMISSION_DENIED, path="/Cloud_bs"),
    case("permission_denied", Reason.PERMISSION_DENIED, STORE, path="/data/store"),
    case("hung_mount", Reason.HUNG, path="/Cloud_bs"),
    case("stale_mount", Reason.STALE_MOUNT, path="/Cloud_bs"),
    case("stale_mount", Reason.STALE_MOUNT, STORE, path="/data/store", error="not_connected"),
    case("io_error", Reason.IO_ERROR, path="/Cloud_bs"),
    case("io_error", Reason.IO_ERROR, path="/Cloud_bs", error="damaged"),
    case("expired_password", Reason.AUTH_FAILED, STORE),
    case("expired_account", Reason.AUTH_FAILED, STORE),
    case("lingering_session", None),
    case("agent_down", None),
    case("agent_restarted", None, STORE),
    case("certificate_expired", None),
    case("registry_lost", None, path="/Cloud_bs"),
    case("registry_lost", None, STORE, path="/data/store"),
    # Several at once, healed in the order in which they came
    several(None, ("latency", {"delay": "30ms"}), ("latency", {"delay": "40ms"}), ("rate", {"rate": "64 KiB"})),
    several(Reason.BUSY, ("max_startups", {}), ("max_sessions", {"sessions": 5})),
    several(Reason.AUTH_FAILED, ("password_rotated", {}), ("password_rotated", {"password": "third"})),
    several(Reason.AUTH_FAILED, ("expired_password", {}), ("password_rotated", {"password": PASSWORD}), host=STORE),
    several(Reason.AUTH_FAILED, ("expired_password", {}), ("expired_account", {}), ("expired_account", {}), host=STORE),
    several(Reason.STALE_MOUNT, ("no_sftp", {}), ("stale_mount", URL)),
    several(Reason.IO_ERROR, ("no_sftp", {}), ("stale_mount", URL), ("io_error", URL)),
    several(None, ("command_missing", {}), ("no_statvfs", {}), host=STORE),
    several(Reason.NO_COMMAND, ("command_missing", {"commands": ("df", "stat")}), ("no_sftp", {})),
    several(Reason.HUNG, ("hung_command", {"commands": ("df",)}), ("no_sftp", {}), host=STORE),
    several(Reason.HUNG, ("hung_sftp", {}), ("hung_sftp", {})),
    several(None, ("no_sftp", {}), ("noisy_shell", {})),
    several(None, ("no_sftp", {}), ("lingering_session", {})),
    several(Reason.HUNG, ("no_sftp", {}), ("hung_mount", URL)),
    several(None, ("fill", {"to": "60%"}), ("fill", {"to": "90%"})),
    several(None, ("read_only", {}), ("read_only", {})),
    several(Reason.NO_SUCH_PATH, ("unmounted", DATA), ("replaced_disk", DATA), ("unmounted", DATA), host=STORE),
    several(Reason.PERMISSION_DENIED, ("permission_denied", URL), ("permission_denied", URL)),
    case("resize", None, size="3 TiB"),  # last, because it cannot be healed
]

REFUSED = [
    ("out_of_inodes", {}, "XFS, which the disks are, makes inodes for as long as there is space"),
    ("broken_sftp", {}, "OpenSSH's sftp-server answers what it is asked"),
    ("flood", {}, "no sshd does that"),
    ("resize", {"size": "500 GiB"}, "XFS, which the disks are, cannot shrink"),
    ("resize", {"size": "3 TiB", "for": "1m"}, "XFS, which the disks are, cannot shrink to its former size"),
    ("max_startups", {"rate": 0}, "sshd's MaxStartups takes a rate of 1 to 100"),
    ("command_missing", {"commands": ("df", "sh")}, "sh: a part of the shell, or needed"),
    ("hung_command", {"commands": ("test", "echo")}, "echo, test: a part of the shell, or needed"),
    ("replaced_disk", {"path": "/data", "used": "1 GiB"}, "what is in use on it would have to be in memory"),
    ("fill", {"path": "/var"}, "/var is on the disk of the engine's own machine"),
]


def test_every_kind_that_containers_can_have_has_a_case() -> None:
    assert {kind for kind, one in IMPLEMENTATIONS.items() if one.apply} == {
        fault.kind for case in CASES for fault in case.faults
    }


def test_every_kind_that_containers_cannot_have_has_a_row() -> None:
    assert {kind for kind, one in IMPLEMENTATIONS.items() if not one.apply} <= {kind for kind, _, _ in REFUSED}


@rows(("kind", "parameters", "why"), REFUSED)
def test_what_no_container_can_have_is_refused_by_name(kind: str, parameters: dict[str, object], why: str) -> None:
    with pytest.raises(Refused, match=f"^fault {kind}: not on containers: {why}"):
        requirements_of(read_fault(kind, parameters), HostSpec(size=TIB, mount="/data"))


def test_a_container_gets_no_privilege_that_its_faults_do_not_need() -> None:
    spec = HostSpec(size=TIB)
    assert requirements_of(read_fault("password_rotated", {}), spec) == Requirements()
    both = requirements_of(read_fault("blackhole", {}), spec) | requirements_of(read_fault("hung_mount", URL), spec)
    assert both == Requirements(frozenset({"NET_ADMIN", "SYS_ADMIN"}), frozenset({"/dev/fuse"}))


# On containers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ContainersWorld]:
    """Yield the hosts, with the privileges for every case, and a node that does not ping them."""
    file = tmp_path_factory.mktemp("faults") / "hosts.yaml"
    steps = [
        {"at": "1h", "fault": {"host": host, "kind": fault.kind, **fault.values()}}
        for case in CASES
        for host in ALIKE[case.host]
        for fault in case.faults
    ]
    file.write_text(SCENARIO + yaml.safe_dump({"timeline": steps}))
    try:
        await prepare()
    except EngineProblem as problem:
        pytest.skip(str(problem))
    async with ContainersWorld(read_for_containers(file), RealClock(), 0, lambda event, node="": None) as world:
        yield world


async def outcomes(
    prober: Prober, target: Target, case: Case, apply: Callable[[Fault], Awaitable[Heal]]
) -> list[Outcome]:
    """Return the outcomes of probes while the faults of a case are put on a host and healed one by one.

    With all faults on it, one probe uses a connection from before and one logs in. After each heal but the last, one
    logs in. After the last, both again.
    """

    async def probe(*, fresh: bool) -> Outcome:
        found = await prober.probe(target, fresh=fresh)
        if isinstance(found, ProbeFailure):
            return found.reason
        return found.total, found.available, found.read_only, found.method

    assert isinstance(await prober.probe(target, layout=Layout.CREATE), Capacity)
    healing = [await apply(fault) for fault in case.faults]
    found = [await probe(fresh=False), await probe(fresh=True)]
    *first, last = healing
    for heal in first:
        await heal()
        found.append(await probe(fresh=True))
    await last()
    return found if not case.heals else [*found, await probe(fresh=False), await probe(fresh=True)]


def new_prober(world: ContainersWorld | HostNetwork, case: Case, folder: Path) -> Prober:
    seconds = 4 if case.reason is Reason.TIMEOUT else 60  # sshd takes two seconds to refuse a password
    return Prober(
        RealClock(),
        resolve=world.resolve,
        connect_timeout=seconds,
        command_timeout=2,
        busy_pauses=(),
        host_keys=case.host_keys,
        known_hosts=folder / "known_hosts",
    )


def target_of(world: ContainersWorld, host: str) -> Target:
    return Target(host, 22, world.scenario.all_hosts()[host].username, URLS[host], PASSWORD)


def container_of(world: ContainersWorld, host: str) -> Container:
    """Return the container of a host, to run scripts in it."""
    return world.hosts[host].container


async def on_a_container(world: ContainersWorld, name: str, case: Case, folder: Path) -> list[Outcome]:
    async def apply(fault: Fault) -> Heal:
        return (await world.hosts[name].apply(fault)).heal

    prober = new_prober(world, case, folder)
    try:
        return await outcomes(prober, target_of(world, name), case, apply)
    finally:
        await prober.close()
        await world.hosts[name].heal_all()


async def on_a_simulated_host(world: ContainersWorld, case: Case, folder: Path) -> list[Outcome]:
    async def apply(fault: Fault) -> Heal:
        return (await host.faults.apply(fault)).heal

    hosts = HostNetwork()
    host = make_host(case.host, world.scenario.all_hosts()[case.host], RealClock(), 0)
    prober = new_prober(hosts, case, folder)
    try:
        await hosts.add(host)
        return await outcomes(prober, target_of(world, case.host), case, apply)
    finally:
        await prober.close()
        await hosts.close()


Met = tuple[list[Outcome], list[Outcome]]
"""The outcomes of a case, on a container and on a simulated host."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def met(
    world: ContainersWorld, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, asyncio.Future[Met]]]:
    """Yield the outcomes of all cases, by case. Each host runs its next case as soon as the last is healed."""
    chosen = {str(item.callspec.params.get("case")) for item in request.session.items if hasattr(item, "callspec")}
    left = {host: [case for case in CASES if case.host == host and str(case) in chosen] for host in ALIKE}
    found: dict[str, asyncio.Future[Met]] = {
        str(case): asyncio.get_running_loop().create_future() for cases in left.values() for case in cases
    }

    async def try_all(name: str, cases: list[Case]) -> None:
        while cases:
            case = cases.pop(0)
            folders = [tmp_path_factory.mktemp("keys") for _ in range(2)]
            meeting = asyncio.gather(
                on_a_container(world, name, case, folders[0]), on_a_simulated_host(world, case, folders[1])
            )
            try:
                found[str(case)].set_result(await meeting)
            except Exception as error:  # raised in the test of that case
                found[str(case)].set_exception(error)

    tasks = [asyncio.create_task(try_all(name, left[host])) for host, alike in ALIKE.items() for name in alike]
    yield found
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.compose
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_probe_meets_the_same_on_both_kinds_of_hosts(met: dict[str, asyncio.Future[Met]], case: Case) -> None:
    real, simulated = await met[str(case)]
    assert real == simulated
    assert real[1] == case.reason or (case.reason is None and isinstance(real[1], tuple))


@pytest.mark.compose
@pytest.mark.asyncio(loop_scope="module")
async def test_a_disk_fills_up_step_by_step_until_it_is_healed(world: ContainersWorld, tmp_path: Path) -> None:
    host, target = world.hosts[STORE], target_of(world, STORE)
    prober = new_prober(world, CASES[-1], tmp_path)

    async def available() -> int:
        found = await prober.probe(target)
        assert isinstance(found, Capacity)
        return found.available

    try:
        before = await available()
        assert before == TIB - 300 * GIB
        filling = await host.apply(read_fault("fill", {"to": "100%", "over": "12s"}))
        assert await available() == before
        await asyncio.sleep(5)
        assert 0 < await available() < before
        await asyncio.sleep(8)
        async with asyncio.timeout(60):  # its steps may come late
            while await available():
                await asyncio.sleep(0.5)
        await filling.heal()
        assert await available() == before
        filling = await host.apply(read_fault("fill", {"to": "100%", "over": "1h"}))
        await asyncio.sleep(1.5)
        await filling.heal()
        assert await available() == before
    finally:
        await prober.close()
        await host.heal_all()


@pytest.mark.compose
@pytest.mark.asyncio(loop_scope="module")
async def test_faults_are_on_a_host_again_after_a_stop(world: ContainersWorld, tmp_path: Path) -> None:
    host, target = world.hosts[ROOT], target_of(world, ROOT)
    prober = new_prober(world, CASES[-1], tmp_path)
    kinds: list[tuple[str, dict[str, object]]] = [("latency", {"delay": "20ms"}), ("no_sftp", {}), ("hung_mount", URL)]

    async def reason() -> Reason | None:
        found = await prober.probe(target, fresh=True)
        return found.reason if isinstance(found, ProbeFailure) else None

    try:
        for kind, parameters in kinds:
            await host.apply(read_fault(kind, parameters))
        assert await reason() is Reason.HUNG
        await host.stop()
        await host.start()
        assert await reason() is Reason.HUNG
        await host.heal_all()
        assert await reason() is None
    finally:
        await prober.close()
        await host.heal_all()


@pytest.mark.compose
@pytest.mark.asyncio(loop_scope="module")
async def test_pings_of_an_agent_meet_its_faults_and_its_certificate_is_of_the_labs_authority(
    world: ContainersWorld,
) -> None:
    host, target = world.hosts[STORE], target_of(world, STORE)
    prober = Prober(RealClock(), resolve=world.resolve)

    async def ping(*, fresh: bool = False) -> Reason | None:
        found = await prober.reach(target, PingMode.AGENT, fresh=fresh)
        return found.reason if isinstance(found, ProbeFailure) else None

    try:
        assert isinstance(await prober.probe(target, layout=Layout.CREATE), Capacity)
        found = {}
        for kind, parameters in (
            ("agent_down", {}),
            ("agent_restarted", {}),
            ("certificate_expired", {}),
            ("registry_lost", {"path": URLS[STORE]}),
        ):
            assert await ping(fresh=True) is None
            applied = await host.apply(read_fault(kind, parameters))
            during = await ping()
            await applied.heal()
            found[kind] = during, await ping()
        assert found == {
            "agent_down": (Reason.AGENT_DOWN, Reason.AGENT_RESTARTED),
            "agent_restarted": (Reason.AGENT_RESTARTED, Reason.AGENT_RESTARTED),
            "certificate_expired": (Reason.CERTIFICATE_EXPIRED, None),
            "registry_lost": (Reason.REGISTRY_LOST, None),
        }
        state = await host.agent_state()
        assert (state.running, state.address) == (True, f"{host.address}:8000")
        others = await world.hosts[ROOT].agent_state()
        assert others.authority == state.authority
        context = ssl.create_default_context(cadata=state.authority)
        await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, host.address, 8000, ssl=context, server_hostname=STORE
        )
    finally:
        await prober.close()
        await host.heal_all()


@pytest.mark.compose
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", ["hung_mount", "hung_sftp", "half_open"])
async def test_a_waiting_probe_is_answered_when_the_fault_heals(world: ContainersWorld, kind: str) -> None:
    host, target = world.hosts[TWIN], target_of(world, TWIN)
    prober = Prober(RealClock(), resolve=world.resolve, connect_timeout=60, command_timeout=60)
    try:
        before = await prober.probe(target, layout=Layout.CREATE)
        assert isinstance(before, Capacity)
        hung = await host.apply(read_fault(kind, URL if kind == "hung_mount" else {}))
        waiting = asyncio.ensure_future(prober.probe(target))
        assert await asyncio.wait([waiting], timeout=0.5) == (set(), {waiting})
        await hung.heal()
        found = await asyncio.wait_for(waiting, 30)
        assert isinstance(found, Capacity), found
        assert (found.total, found.available) == (before.total, before.available)
    finally:
        await prober.close()
        await host.heal_all()


@pytest.mark.compose
@pytest.mark.asyncio(loop_scope="module")
async def test_a_script_that_takes_too_long_is_killed_with_an_error(world: ContainersWorld) -> None:
    with pytest.raises(ContainerProblem, match=r"^imagestore-1: a script was not done within 1 s: so far$"):
        await container_of(world, ROOT).run("echo so far >&2; exec sleep 60", seconds=1)
    assert await container_of(world, ROOT).run("pgrep -f 'sleep 6[0]' || echo gone", seconds=SCRIPT_SECONDS) == "gone\n"


@pytest.mark.compose
@pytest.mark.asyncio(loop_scope="module")
async def test_an_account_has_its_former_dates_when_expiry_heals(world: ContainersWorld) -> None:
    host = world.hosts[STORE]

    async def dates() -> list[str]:
        return (await container_of(world, STORE).run("grep ^store: /etc/shadow", seconds=SCRIPT_SECONDS)).split(":")[2:]

    before = await dates()
    for kind in ("expired_password", "expired_account", "password_rotated"):
        await host.apply(read_fault(kind, {}))
    assert (await dates())[0] == (await dates())[5] == "0"
    await host.heal_all()
    assert await dates() == before
