"""Slots for logins: hanging hosts do not delay others, and no purpose delays another."""

from __future__ import annotations

import asyncio

import pytest
from ssh_stubs import PASSWORD, tcp_server

from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.probe import Capacity, Prober, Purpose, Target, probing_for
from imagestore_sim.probe.login_slots import SlotQueue
from imagestore_sim.virtual_clock import virtual_clock


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.thorough
@pytest.mark.imagestore_lab(clock="virtual")
async def test_six_hundred_hosts_that_hang_keep_a_healthy_one_waiting_for_seconds_at_most() -> None:
    clock = virtual_clock()
    async with tcp_server(silent) as port, SimulatedHost("healthy", clock=clock) as host:
        hung = iter(range(10**6))

        async def resolve(hostname: str, _port: int) -> tuple[str, int]:
            if hostname == "healthy":
                return host.address
            return f"127.0.{next(hung) % 200}.1", port  # each an address of its own

        prober = Prober(clock, resolve=resolve, connect_timeout=5.0)
        healthy = Target("healthy", 22, "root", "/", PASSWORD)

        async def probe(number: int, purpose: Purpose) -> None:
            with probing_for(purpose):
                await prober.probe(Target(f"hung-{number}", 22, "root", "/", PASSWORD))

        purposes = (Purpose.PING, Purpose.RECONNECT)
        waiting = [asyncio.ensure_future(probe(number, purposes[number % 2])) for number in range(600)]
        await clock.sleep(0.2)
        began = clock.monotonic()
        assert isinstance(await prober.probe(healthy), Capacity)
        assert clock.monotonic() - began < 3.0
        # Even among commands alone, a login that takes long leaves its place.
        waiting += [asyncio.ensure_future(probe(1000 + number, Purpose.COMMAND)) for number in range(60)]
        await clock.sleep(0.2)
        began = clock.monotonic()
        assert isinstance(await prober.probe(healthy, fresh=True), Capacity)
        assert clock.monotonic() - began < 5.0
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await prober.close()


async def test_a_suspect_waits_behind_the_others_but_not_for_ever() -> None:
    places = SlotQueue(1)
    await places.take(suspect=False)
    order: list[str] = []

    async def take(name: str, *, suspect: bool) -> None:
        await places.take(suspect=suspect)
        order.append(name)
        places.release()

    tasks = [asyncio.ensure_future(take("suspect", suspect=True))]
    await asyncio.sleep(0)
    tasks += [asyncio.ensure_future(take(f"good {number}", suspect=False)) for number in range(9)]
    await asyncio.sleep(0)
    places.release()
    await asyncio.gather(*tasks)
    assert 1 <= order.index("suspect") <= 4


async def test_a_cancelled_waiter_takes_no_slot() -> None:
    places = SlotQueue(1)
    await places.take(suspect=False)
    waiting = asyncio.ensure_future(places.take(suspect=False))
    await asyncio.sleep(0)
    places.release()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.wait_for(places.take(suspect=True), 60)
