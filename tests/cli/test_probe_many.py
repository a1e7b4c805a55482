"""`imagestore-sim probe` for many hosts: where targets come from, what is printed, and the exit status."""

from __future__ import annotations

import asyncio
import io
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from imagestore_sim.cli.probe_output import Outcome, table_of, watching
from imagestore_sim.cli.probe_targets import Asked
from imagestore_sim.clock import RealClock
from imagestore_sim.probe import Capacity, Inodes, Method, ProbeFailure, Reason, Target
from imagestore_sim.testing.lab_thread import running_lab
from processes import COMMAND, WAIT_SECONDS, child, run_here
from rows import rows

URL = "/Cloud_bs"
LOGIN = ("--url", URL, "--password", "password")
GONE = "127.0.0.1:1"  # nothing listens there


@pytest.fixture(scope="module")
def places() -> Iterator[list[str]]:
    """Return HOST:PORT of the real addresses of two hosts of a lab."""
    with running_lab(hosts=2, ping_interval=3600) as running:
        hosts = [running.lab.network[f"imagestore-{number}"] for number in (1, 2)]
        yield [":".join(map(str, host.address)) for host in hosts]


def test_several_targets_are_a_table_in_their_order_and_one_failure_is_status_1(places: list[str]) -> None:
    finished = run_here("probe", places[0], GONE, f"root@{places[1]}", *LOGIN)
    assert finished.status == 1
    lines = [line.split() for line in finished.output.splitlines() if line.strip()]
    assert lines[0] == ["target", "outcome", "available", "of", "free", "inodes", "ms"]
    assert [line[:2] for line in lines[2:5]] == [[places[0], "ok"], [GONE, "refused"], [f"root@{places[1]}", "ok"]]
    assert "2 of 3 answered" in finished.output
    assert f"{GONE}: {GONE}: connection refused; what to do: " in finished.output


def test_json_is_a_line_for_each_target_and_its_name(places: list[str]) -> None:
    finished = run_here("probe", *places, GONE, *LOGIN, "--json", "--parallel", "1")
    found = [json.loads(line) for line in finished.output.splitlines()]
    assert finished.status == 1
    assert [one["name"] for one in found] == [*places, GONE]  # one after the other, so in their order
    assert list(found[0])[:5] == ["name", "host", "port", "url", "total"]
    assert (found[0]["host"], found[0]["url"]) == ("127.0.0.1", URL)
    assert (found[2]["port"], found[2]["reason"]) == (1, "refused")


def test_targets_are_read_from_standard_input_with_their_paths_and_each_once(places: list[str]) -> None:
    typed = f"# hosts\n{places[0]}\n\n{places[1]} /  # another path\n{places[0]}\n"
    finished = run_here("probe", "-", *LOGIN, "--json", typed=typed)
    found = {(one["name"], one["url"]) for one in map(json.loads, finished.output.splitlines())}
    assert finished.status == 0, finished.output
    assert len(finished.output.splitlines()) == 2
    alone = run_here("probe", "-", *LOGIN, "--json", typed=places[0])
    assert json.loads(alone.output)["name"] == places[0]
    assert found == {(places[0], URL), (f"{places[1]} /", "/")}


def test_the_storages_of_a_bootstrap_file_are_probed_with_their_own_logins(places: list[str], tmp_path: Path) -> None:
    ports = [place.rpartition(":")[2] for place in places]
    (tmp_path / "records.yaml").write_text(f"""\
backupStorages:
  - {{name: first, hostname: 127.0.0.1, sshPort: {ports[0]}, url: {URL}, password: !env FIRST_PASSWORD}}
  - {{name: second, hostname: localhost, sshPort: {ports[1]}, url: {URL}}}
  - {{name: none, type: SimulatorBackupStorage, url: /nosuch}}
  - {{name: fixed, hostname: nosuch.invalid, url: /nosuch, tracked: false}}
""")
    finished = run_here("probe", "--inventory", "records.yaml", cwd=tmp_path, FIRST_PASSWORD="password")
    assert finished.status == 0, finished.output
    assert [line.split()[:2] for line in finished.output.splitlines()[3:5]] == [["first", "ok"], ["second", "ok"]]
    assert "2 of 2 answered" in finished.output


@rows(
    ("arguments", "typed", "complaint"),
    [
        ([], "", "no target: expected [USER@]HOST[:PORT], - to read them from standard input, or --inventory"),
        (["-"], "# nothing\n", "no target: "),
        (["-"], "h /zs more\n", "standard input, line 1: expected [USER@]HOST[:PORT], and its PATH"),
        (["-"], "h /zs\nh2 zs\n", "standard input, line 2: zs is not an absolute path"),
        (["-"], "h\n", "standard input, line 1: --url is required"),
        (["-", "--url", "/"], "a@b@c\n", "standard input, line 1: a@b@c is not [user@]host[:port]"),
        (["-", "--url", "/"], "-oProxyCommand=x\n", "ssh does not accept that name"),
        (["-", "--url", "/"], "\n".join(f"h-{number}" for number in range(10_001)), "more than 10000 targets"),
        (["--inventory", "nosuch.yaml"], "", "nosuch.yaml: cannot be read: No such file or directory"),
        (["h", "--url", "/", "--watch", "soon"], "", "--watch: 'soon' is no duration"),
        (["h", "--url", "/", "--watch", "10ms"], "", "--watch: 10ms is too often: expected a second at least"),
        (["h", "--url", "/", "--parallel", "0"], "", "--parallel"),
    ],
)
def test_what_cannot_be_used_is_one_clear_complaint(arguments: list[str], typed: str, complaint: str) -> None:
    finished = run_here("probe", *arguments, typed=typed)
    assert finished.status == 2
    assert complaint in " ".join(finished.errors.split())
    assert finished.output == ""


def test_a_small_terminal_shows_the_failures_first() -> None:
    good = Asked("[bold]good\n", Target("h", 22, "root", "/"))
    outcomes = [(good, ProbeFailure(Reason.TIMEOUT, "\x1b[2J", {"tcp": 1.0})) for _ in range(9)]
    shown = io.StringIO()
    Console(file=shown, width=200).print(table_of(outcomes, 4))
    assert "0 of 9 answered, 5 more not shown" in shown.getvalue()
    assert shown.getvalue().count("[bold]good\\n") == 4
    assert "\x1b" not in shown.getvalue()


def found(name: str) -> tuple[Asked, Capacity]:
    asked = Asked(name, Target(name, 22, "root", "/"))
    return asked, Capacity(3 * 2**40, 2 * 2**40, Inodes(1000, 500), False, Method.STATVFS, {"tcp": 1234.5})


def test_a_narrow_terminal_goes_without_columns_and_cuts_no_cell() -> None:
    outcomes: list[tuple[Asked, Outcome]] = [
        found("imagestore-1"),
        (Asked("h", Target("h", 22, "root", "/")), ProbeFailure(Reason.TIMEOUT, "h", {})),
    ]
    headings = {
        80: "target outcome available of free inodes ms",
        64: "target outcome available of free inodes",
        56: "target outcome available of free",
        50: "target outcome available free",
        40: "target outcome available",
        30: "target outcome",
    }
    for width, expected in headings.items():
        shown = io.StringIO()
        Console(file=shown, width=width).print(table_of(outcomes, 10, "", width))
        lines = [line for line in shown.getvalue().splitlines() if line.strip()]
        assert (width, " ".join(lines[0].split())) == (width, expected)
        assert "…" not in shown.getvalue()


async def test_a_host_that_hangs_does_not_hide_the_answers_of_the_others() -> None:
    (first, capacity), (second, _) = found("first"), found("second")
    shown = io.StringIO()
    console = Console(file=shown, width=100, height=20, force_terminal=True)
    with watching(console, RealClock(), [first, second]) as rounds:
        rounds.one(first, capacity)
        await until(lambda: "1 of 1 answered, 1 to come" in shown.getvalue())
        rounds.whole([(first, capacity), (second, capacity)])
        assert "2 of 2 answered, 2" in shown.getvalue()
        rounds.one(first, capacity)
        await until(lambda: "2 of 2 answered, 1 to come" in shown.getvalue())


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not met():
            await asyncio.sleep(0.01)


@pytest.mark.processes
@pytest.mark.parametrize("more", [("--json",), ("--json", "--watch", "1s"), ("--watch", "1s")], ids=" ".join)
async def test_a_reader_that_goes_away_ends_it_without_a_word(places: list[str], more: tuple[str, ...]) -> None:
    pipe = asyncio.subprocess.PIPE
    async with child(*COMMAND, "probe", *places, *LOGIN, *more, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        process.stdout._transport.close()  # type: ignore[attr-defined]
        _, errors = await asyncio.wait_for(process.communicate(), WAIT_SECONDS)
    assert (process.returncode, errors) == (1, b"")


@pytest.mark.processes
async def test_rounds_go_on_until_ctrl_c_and_the_last_one_gives_the_status(places: list[str]) -> None:
    arguments = ("probe", places[0], GONE, *LOGIN, "--json", "--watch", "1s")
    async with child(*COMMAND, *arguments, stdout=asyncio.subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [await asyncio.wait_for(process.stdout.readline(), WAIT_SECONDS) for _ in range(4)]
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), WAIT_SECONDS)
    found = [json.loads(line) for line in lines]
    assert {one["name"] for one in found} == {places[0], GONE}
    assert found[-1]["time"] > found[0]["time"]
    assert process.returncode == 1
