"""Bytes between two sockets of this process are found until they have arrived."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

import pytest

from imagestore_sim.in_flight.undelivered import UndeliveredBytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_INFO of Linux")
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Return two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as one:
        other, _ = listener.accept()
        with other:
            yield one, other


def watch(*sockets: socket.socket) -> UndeliveredBytes:
    undelivered = UndeliveredBytes()
    for one in sockets:
        undelivered.add(one.fileno())
    return undelivered


def test_bytes_that_have_arrived_are_delivered_even_if_unread(pair: Pair) -> None:
    one, other = pair
    undelivered = watch(one, other)
    for _ in range(100):
        one.sendall(b"x" * 100)
        other.sendall(b"y")
    assert not undelivered.any()


def test_a_close_that_has_arrived_is_delivered(pair: Pair) -> None:
    one, other = pair
    undelivered = watch(one, other)
    undelivered.discard(one.fileno())
    assert not undelivered.any()
    one.close()
    assert not undelivered.any()
    assert other.recv(1) == b""


def test_a_socket_that_was_closed_a_moment_ago_is_still_to_receive_nothing(pair: Pair) -> None:
    one, other = pair
    undelivered = watch(one, other)
    one.sendall(b"x")
    other.close()  # its transport removes it in the next turn of the event loop
    undelivered.any()  # whether `one` is still to receive the reset is up to the kernel
    one.close()
    assert not undelivered.any()
    undelivered.give_up()


def test_bytes_for_a_socket_that_does_not_read_can_be_given_up(pair: Pair) -> None:
    one, other = pair
    undelivered = watch(one, other)
    one.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            one.send(bytes(65536))
    undelivered.give_up()
    assert not undelivered.any()


def test_only_tcp_connections_are_watched() -> None:
    with socket.socket() as unconnected, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert not watch(unconnected, datagrams).any()
    assert not UndeliveredBytes().any()


def test_bytes_that_have_not_arrived_are_undelivered(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair
    undelivered = watch(one, other)
    traffic = {one.fileno(): (1, 0, 10, 0), other.fileno(): (1, 9, 0, 0)}
    monkeypatch.setattr("imagestore_sim.in_flight.undelivered._traffic", lambda descriptor: traffic[descriptor])
    assert undelivered.any()
    traffic[other.fileno()] = (1, 10, 0, 0)
    assert not undelivered.any()


def test_what_waits_for_a_full_socket_to_be_read_is_not_in_flight(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair
    undelivered = watch(one, other)
    here, there = one.fileno(), other.fileno()
    traffic = {here: (1, 0, 10, 5), there: (1, 10, 0, 0)}
    monkeypatch.setattr("imagestore_sim.in_flight.undelivered._traffic", lambda descriptor: traffic[descriptor])
    assert undelivered.in_flight(read={there}, ready={there}) == []
    assert undelivered.in_flight(read={there}, ready=()) == [there]
    assert undelivered.in_flight(read=(), ready=()) == []
    traffic[there] = (1, 9, 0, 0)
    assert undelivered.in_flight(read={there}, ready={there}) == [there]
    undelivered.ignore([there])
    assert undelivered.in_flight(read={there}, ready={there}) == []
