"""What is on its way between two sockets of this process."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

import pytest

from imagestore_sim.deliveries import Deliveries

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as one:
        other, _ = listener.accept()
        with other:
            yield one, other


def watching(*sockets: socket.socket) -> Deliveries:
    deliveries = Deliveries()
    for one in sockets:
        deliveries.add(one.fileno())
    return deliveries


def test_bytes_that_have_come_are_no_longer_under_way_even_unread(pair: Pair) -> None:
    one, other = pair
    deliveries = watching(one, other)
    for _ in range(100):
        one.sendall(b"x" * 100)
        other.sendall(b"y")
    assert not deliveries.under_way()


def test_a_close_that_has_been_heard_of_is_not_under_way(pair: Pair) -> None:
    one, other = pair
    deliveries = watching(one, other)
    deliveries.discard(one.fileno())
    assert not deliveries.under_way()
    one.close()
    assert not deliveries.under_way()
    assert other.recv(1) == b""


def test_what_is_sent_to_a_socket_that_does_not_read_is_not_waited_for(pair: Pair) -> None:
    one, other = pair
    deliveries = watching(one, other)
    one.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            one.send(bytes(65536))
    deliveries.give_up()
    assert not deliveries.under_way()


def test_what_is_no_tcp_connection_is_not_watched() -> None:
    with socket.socket() as unconnected, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert not watching(unconnected, datagrams).under_way()
    assert not Deliveries().under_way()


def test_bytes_that_have_not_come_are_under_way(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair
    deliveries = watching(one, other)
    told = {one.fileno(): (1, 0, 10), other.fileno(): (1, 9, 0)}
    monkeypatch.setattr("imagestore_sim.deliveries._traffic", lambda descriptor: told[descriptor])
    assert deliveries.under_way()
    told[other.fileno()] = (1, 10, 0)
    assert not deliveries.under_way()
