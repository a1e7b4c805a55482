"""Host names that a file in the format of /etc/hosts resolves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.probe import Capacity, Prober, Target
from imagestore_sim.probe.hosts_files import HostsFiles


async def _unknown(hostname: str, port: int) -> tuple[str, int]:
    return f"other {hostname}", port


async def test_names_of_the_files_have_their_addresses_and_others_are_left(tmp_path: Path) -> None:
    first, second = tmp_path / "a.hosts", tmp_path / "b.hosts"
    first.write_text("# fleet\n127.1.0.1 Store-1 alias  # one\n\n::1 six\n")
    second.write_text("127.2.0.1 store-1\n127.2.0.2 store-2\nfleet-b.example store-3 store-4\n")
    found = HostsFiles([first, second], RealClock(), _unknown)
    names = ("store-1", "ALIAS", "six", "store-2", "store-4", "else")
    assert [await found(name, 22) for name in names] == [
        ("127.1.0.1", 22),
        ("127.1.0.1", 22),
        ("::1", 22),
        ("127.2.0.2", 22),
        ("other fleet-b.example", 22),
        ("other else", 22),
    ]
    assert ("STORE-2" in found, "else" in found) == (True, False)


async def test_a_port_of_a_name_may_have_a_place_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text(
        "127.1.0.1 h\n127.1.0.2:20000 H:8000 i:8000\n127.1.0.3:20001 h:8000 h:8001\n"
        "[::1]:20002 six:8000\nfleet-b.example:20003 far:8000\n"
    )
    found = HostsFiles([file], RealClock(), _unknown)
    asked = [("h", 22), ("h", 8000), ("h", 8001), ("I", 8000), ("i", 22), ("six", 8000), ("far", 8000)]
    assert [await found(*one) for one in asked] == [
        ("127.1.0.1", 22),
        ("127.1.0.2", 20000),
        ("127.1.0.3", 20001),
        ("127.1.0.2", 20000),
        ("other i", 22),
        ("::1", 20002),
        ("other fleet-b.example", 20003),
    ]
    assert ("h" in found, "i" in found) == (True, False)


async def test_a_file_that_changes_counts_within_a_second_and_one_that_cannot_be_read_then_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "hosts"
    file.write_text("127.1.0.1 h\n")
    clock = _Clock()
    found = HostsFiles([file], clock, _unknown)
    file.write_text("127.1.0.2 h\n")
    os.utime(file, ns=(1, 1))
    assert await found("h", 1) == ("127.1.0.1", 1)
    clock.now += 1
    assert await found("h", 1) == ("127.1.0.2", 1)
    for line in ("127.1.0.300 h", "h", "a;b h", "127.1.0.3:80 h", "127.1.0.3 h:80", "127.1.0.3:0 h:80", "::3:x h:80"):
        file.write_text(f"{line}\n")
        clock.now += 1
        assert await found("h", 1) == ("127.1.0.2", 1)
        assert f"line 1: expected ADDRESS NAME, or ADDRESS:PORT NAME:PORT, but got '{line}" in caplog.text


def test_a_file_that_cannot_be_used_at_first_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"hosts file .*none: No such file or directory"):
        HostsFiles([tmp_path / "none"], RealClock(), _unknown)


async def test_a_prober_reaches_a_host_by_its_name_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 imagestore-1.example\n")
    prober = Prober(RealClock(), hosts_files=[file], connect_timeout=30, command_timeout=30)
    async with SimulatedHost("imagestore-1") as host:
        found = await prober.probe(Target("imagestore-1.example", host.address[1], "root", "/", "x"))
        assert isinstance(found, Capacity), found
        await prober.close()


class _Clock(RealClock):
    """A clock whose monotonic time a test moves."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now
