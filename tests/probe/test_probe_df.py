"""What df prints, read."""

from __future__ import annotations

import pytest
from simulator.probe.capacity import Space
from simulator.probe.df import parse
from simulator.probe.failures import Failed, Reason

HEADER = "Filesystem     1024-blocks      Used Available Capacity Mounted on\n"
SPACE = Space(1000 * 1024, 300 * 1024)


@pytest.mark.parametrize(
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
        pytest.param(HEADER + "12 34 56 7% 1000 600 300 67% /zs\n", id="numbers in the source"),
    ],
)
def test_the_total_and_the_available_kibibytes_are_read(output: str) -> None:
    assert parse(output) == SPACE


def test_a_file_system_without_blocks_has_a_total_of_zero() -> None:
    assert parse(HEADER + "proc 0 0 0 - /proc\n") == Space(0, 0)


def test_less_than_nothing_available_is_nothing() -> None:
    assert parse(HEADER + "/dev/ada0 1000 1080 -80 108% /\n") == Space(1000 * 1024, 0)


@pytest.mark.parametrize(
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
