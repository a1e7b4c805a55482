"""A seed draws one order of what is ready; the same seed gives it again, and a draw can be pinned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from imagestore_sim.orders import Draw, SeededOrder
from imagestore_sim.scenario.format.order import OrderRecord
from imagestore_sim.virtual_clock import begin_part, run_virtually, virtual_clock

T = TypeVar("T")
NAMES = "abcdefgh"
PLAIN = list(NAMES)
A_FEW_SEEDS = (1, 7, 28, 29)
"""One that leaves the order of tasks as it is, and three that change it, each in another way."""
MORE_SEEDS = pytest.param(range(1, 31), marks=pytest.mark.thorough)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the threads of this module, which need no event loop, for as long as a busy machine keeps them."""
    monkeypatch.setattr("imagestore_sim.virtual_clock.PATIENCE", 60.0)


async def tasks() -> list[str]:
    """Return the order in which eight tasks that become ready at one moment go on."""
    gone: list[str] = []
    start = asyncio.Event()

    async def go(name: str) -> None:
        await start.wait()
        gone.append(name)

    async with asyncio.TaskGroup() as group:
        for name in NAMES:
            group.create_task(go(name))
        await virtual_clock().sleep(1)
        start.set()
    return gone


async def threads() -> list[str]:
    """Return the order in which eight calls in threads return."""
    gone: list[str] = []

    async def call(name: str) -> None:
        await asyncio.to_thread(_nothing)
        gone.append(name)

    await asyncio.gather(*map(call, NAMES))
    return gone


async def sockets() -> list[str]:
    """Return the order in which eight messages that are sent at one moment are received."""
    gone: list[str] = []
    connected: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda *ends: connected.put_nowait(ends), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def receive(name: str, reader: asyncio.StreamReader) -> None:
        await reader.readexactly(1)
        gone.append(name)

    senders, receivers, waiting = [], [], []
    for name in NAMES:
        senders.append((await asyncio.open_connection("127.0.0.1", port))[1])
        reader, writer = await connected.get()
        receivers.append(writer)
        waiting.append(asyncio.ensure_future(receive(name, reader)))
    await virtual_clock().sleep(1)
    for sender in senders:
        sender.write(b"x")
    await asyncio.gather(*waiting)
    server.close()
    for one in (*senders, *receivers):
        one.close()
        await one.wait_closed()
    return gone


def _nothing() -> None:
    pass


def ordered(work: Coroutine[Any, Any, T], seed: int | None, **pinned: Mapping[int | str, float]) -> T:
    return run_virtually(work, order=SeededOrder(seed, pinned))


@pytest.mark.parametrize("seeds", [A_FEW_SEEDS, MORE_SEEDS])
@pytest.mark.parametrize("work", [tasks, threads, sockets])
def test_seeds_draw_different_orders_and_each_seed_the_same_again(
    work: Callable[[], Coroutine[Any, Any, list[str]]], seeds: Sequence[int]
) -> None:
    assert run_virtually(work()) == ordered(work(), None) == PLAIN
    drawn = {seed: ordered(work(), seed) for seed in seeds}
    assert all(sorted(one) == PLAIN for one in drawn.values())
    assert len({"".join(one) for one in drawn.values()}) > 3
    assert all(ordered(work(), seed) == one for seed, one in drawn.items())


def test_a_pinned_draw_changes_the_plain_order_in_one_place() -> None:
    assert ordered(sockets(), None, sockets={1: 3}) == ["d", "a", "b", "c", "e", "f", "g", "h"]
    assert ordered(sockets(), None, sockets={1: 99}) == ["h", "a", "b", "c", "d", "e", "f", "g"]


@pytest.mark.parametrize(
    ("work", "pinned"),
    [
        (tasks, {"tasks": {"2 tasks.<locals>.go 1": 3}}),
        (threads, {"threads": {"2 threads.<locals>.call 1": 3}}),
        (sockets, {"sockets": {"2 StreamReaderProtocol 1": 3}}),
        (sockets, {"delays": {"2 StreamReaderProtocol 2": 0.25}}),
    ],
)
def test_a_pin_by_name_stays_when_more_happens_before(
    work: Callable[[], Coroutine[Any, Any, list[str]]], pinned: dict[str, dict[int | str, float]]
) -> None:
    async def after(before: int) -> list[str]:
        for _ in range(before):
            await work()
        begin_part(2)
        return await work()

    orders = [SeededOrder(None, pinned) for _ in range(3)]
    gone = [run_virtually(after(count), order=order) for count, order in enumerate(orders)]
    assert gone[0] == gone[1] == gone[2] != PLAIN
    assert [order.drawn for order in orders] == [pinned] * 3
    assert [list(order.missed()) for order in orders] == [[]] * 3


def test_a_pin_whose_draw_does_not_come_is_told() -> None:
    order = SeededOrder(None, {"sockets": {"0 StreamReaderProtocol 1": 1, "5 RequestHandler 1": 1}, "tasks": {9999: 1}})
    run_virtually(sockets(), order=order)
    assert list(order.missed()) == ["tasks 9999", "sockets 5 RequestHandler 1"]


def test_a_pin_without_a_name_or_a_number_is_refused() -> None:
    for key in ("RequestHandler 4", "1 RequestHandler", "1 RequestHandler 0", 0):
        with pytest.raises(ValueError, match="delays"):
            OrderRecord.model_validate({"delays": {key: "1s"}})


@pytest.mark.parametrize("seeds", [A_FEW_SEEDS, MORE_SEEDS])
def test_what_a_seed_has_drawn_is_the_same_order_when_it_is_pinned_without_the_seed(seeds: Sequence[int]) -> None:
    for work in (tasks, threads, sockets):
        for seed in seeds:
            order = SeededOrder(seed)
            gone = run_virtually(work(), order=order)
            pinned = SeededOrder(None, order.drawn)
            assert run_virtually(work(), order=pinned) == gone
            assert pinned.drawn == order.drawn


def test_a_delay_lets_virtual_time_pass_while_a_message_is_under_way() -> None:
    async def timed() -> tuple[list[str], float]:
        return await sockets(), virtual_clock().monotonic()

    assert ordered(timed(), None, delays={2: 0.25}) == (["a", "c", "d", "e", "f", "g", "h", "b"], 1.25)


def test_a_delay_lets_virtual_time_pass_while_a_thread_works() -> None:
    async def timed() -> tuple[list[str], float]:
        return await threads(), virtual_clock().monotonic()

    assert ordered(timed(), None, delays={1: 0.25}) == (["b", "c", "d", "e", "f", "g", "h", "a"], 0.25)


def test_each_kind_of_draw_can_be_told_in_a_story() -> None:
    assert {name for name in OrderRecord.model_fields if name != "seed"} == set(Draw)
