"""What df prints, read."""

from __future__ import annotations

import pytest

from imagestore_sim.probe.capacity import Space
from imagestore_sim.probe.df import parse
from imagestore_sim.probe.failures import Failed
from imagestore_sim.reasons import Reason
from rows import rows

HEADER = "Filesystem     1024-blocks      Used Available Capacity Mounted on\n"
SPACE = Space(1000 * 1024, 300 * 1024)


@rows(
    "output",
    [
        pytest.param(HEADER + "/dev/sda1 1000 600 300 67% /\n", id="GNU"),
        pytest.param(HEADER + "/dev/sda1                  1000       600       300  67% /zs\n", id="busybox"),
        pytest.param(HEADER + "my fs 1000 600 300 67% /with space/and 1 2 3\n", id="spaces"),
        pytest.param(HEADER + "/dev/mapper/a-very-long-name\n              1000 600 300 67% /\n", id="wrapped"),
        pytest.param(HEADER + "/dev/mapper/a-very-long-name\n1000 600 300 67% /\n", id="wrapped to the margin"),
        pytest.param("/dev/sda1 1000 600 300 67% /\n", id="no header"),
        pytest.param(
            "df: /boot: Permission denied\n" + HEADER + "/dev/sda1 1000 600 300 67% /\n", id="complaint before"
        ),
        pytest.param(HEADER + "/dev/sda1 1000 600 300 67% /\r\n", id="carriage returns"),
        pytest.param(HEADER + "server:/a 5 5 5 5% /a\n/dev/sda1 1000 600 300 67% /zs\n", id="the last record counts"),
        pytest.param(
            "Filesystem           1024-blocks    Used Available Capacity Mounted on\n"
            "/dev/mapper/vg0-imagestore_with_a_long_name\n"
            "                          1000       600       300  67% /Cloud_bs\n",
            id="busybox, wrapped",
        ),
        pytest.param(
            "Filesystem           1K-blocks      Used Available Use% Mounted on\n"
            "tmpfs                     1000       600       300  66% /zs\n",
            id="old busybox",
        ),
        pytest.param(
            "Filesystem  1024-blocks Used Avail Capacity  Mounted on\n/dev/ada0p2 1000 600 300 67%    /usr/home/zs 1\n",
            id="FreeBSD",
        ),
        pytest.param(
            "Filesystem   1024-blocks Used Available Capacity  Mounted on\n/dev/disk3s1s1 1000 600 300    67%    /\n",
            id="macOS",
        ),
        pytest.param(
            "Filesystem 1K-blocks Used Avail Capacity Mounted on\n/dev/wd0a 1000 600 300 67% /zs\n", id="OpenBSD"
        ),
        pytest.param(HEADER + "nas:/vol/image store 1000 600 300 67% /mnt/image store\n", id="NFS, spaces"),
        pytest.param(HEADER + "//nas/images$ 1000 600 300 67% /zs\n", id="CIFS"),
        pytest.param(HEADER + "df: /zs/x: Stale file handle\n/dev/sda1 1000 600 300 67% /zs\n", id="complaint between"),
        pytest.param("Last login: Mon\n100% /nothing\n" + HEADER + "/dev/a 1000 600 300 67% /\nlogout\n", id="noise"),
        pytest.param(HEADER + "12 34 56 7% 1000 600 300 67% /zs\n", id="numbers in the source"),
    ],
)
def test_the_total_and_the_available_kibibytes_are_read(output: str) -> None:
    assert parse(output) == SPACE


def test_a_file_system_without_blocks_has_a_total_of_zero() -> None:
    assert parse(HEADER + "proc 0 0 0 - /proc\n") == Space(0, 0)


def test_less_than_nothing_available_is_nothing() -> None:
    assert parse(HEADER + "/dev/ada0 1000 1080 -80 108% /\n") == Space(1000 * 1024, 0)


@rows(
    "output",
    [
        pytest.param("", id="nothing"),
        pytest.param(HEADER, id="header alone, as of busybox with its error elsewhere"),
        pytest.param("This account is currently not available.\n", id="nologin"),
        pytest.param(HEADER + "/dev/sda1 - - - - /\n", id="no numbers"),
        pytest.param("Filesystem Size Used Avail Use% Mounted on\n/dev/sda1 1.0G 600M 300M 67% /\n", id="human sizes"),
    ],
)
def test_an_answer_without_a_size_is_no_capacity(output: str) -> None:
    with pytest.raises(Failed) as failed:
        parse(output)
    assert failed.value.reason is Reason.NO_CAPACITY


def test_the_mount_point_tells_one_file_system_from_another() -> None:
    below, above = parse(HEADER + "/dev/vda 9 5 4 55% /\n"), parse(HEADER + "/dev/vdb 9 5 4 55% /with space \r\n")
    assert (below.file_system, above.file_system) == ("on /", "on /with space")
