"""Virtual time jumps when nothing is left to do, and only then. SSH, HTTP, SQLite and threads are real."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import text

from imagestore_sim.clock import START, RealClock
from imagestore_sim.database import Database
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.ids import new_uuid
from imagestore_sim.orders import SeededOrder
from imagestore_sim.probe import Capacity, Prober, Target
from imagestore_sim.tasks import cancel_and_wait
from imagestore_sim.virtual_clock import VirtualClock, VirtualEventLoop, run_virtually, virtual_clock
from rows import rows
from sshd import OpenSshServer

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], within: float = 30.0) -> T:
    """Run in virtual time, and check that it took few real seconds: fewer than the minute that most tests let pass."""
    began = time.monotonic()
    result = run_virtually(main)
    assert time.monotonic() - began < within
    return result


def test_a_year_of_sleep_takes_no_time_and_is_exactly_a_year() -> None:
    async def main() -> tuple[float, float, str]:
        clock = virtual_clock()
        await clock.sleep(365 * 86400)
        return clock.monotonic(), clock.time(), str(clock.local())

    assert run(main()) == (365 * 86400, START + 365 * 86400, "2024-12-31 00:00:00")


@pytest.mark.parametrize("as_timeout", [False, True])
def test_a_wait_that_is_too_short_beside_the_time_moves_it_on_all_the_same(as_timeout: bool) -> None:
    async def main() -> int:
        clock = virtual_clock()
        await clock.sleep(64.6)
        due, waits = clock.monotonic() + 1e-14, 0  # 64.6 + 7e-15 is 64.6
        while (seconds := due - clock.monotonic()) > 0 and waits < 100:
            waits += 1
            if as_timeout:
                with suppress(TimeoutError):
                    await clock.wait_for(asyncio.Event().wait(), seconds / 2)
            else:
                await clock.sleep(seconds / 2)
        return waits

    assert run(main()) == 1


def test_timers_fire_by_time_and_then_in_the_order_they_were_made() -> None:
    async def main() -> list[tuple[float, str]]:
        clock = virtual_clock()
        woken: list[tuple[float, str]] = []

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append((clock.monotonic(), name))

        names = [("late", 3), ("a", 2), ("b", 2), ("early", 1), ("c", 2)]
        await asyncio.gather(*(sleeper(*one) for one in names))
        return woken

    assert run(main()) == [(1, "early"), (2, "a"), (2, "b"), (2, "c"), (3, "late")]


def test_a_timeout_comes_at_its_time_and_cancels_the_work() -> None:
    async def main() -> tuple[float, bool, int]:
        clock = virtual_clock()
        slow = asyncio.create_task(clock.sleep(60))
        with pytest.raises(TimeoutError, match="not done within 10 s"):
            await clock.wait_for(slow, 10)
        task = asyncio.current_task()
        assert task is not None
        return clock.monotonic(), slow.cancelled(), task.cancelling()

    assert run(main()) == (10, True, 0)


def test_a_cancellation_at_the_moment_of_a_timeout_stays_one() -> None:
    async def main() -> bool:
        clock = virtual_clock()

        async def waiting() -> None:
            await clock.wait_for(asyncio.Event().wait(), 10)

        task = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        clock.call_at(10, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert run(main())


def test_a_cancelled_wait_does_not_move_time() -> None:
    async def main() -> float:
        clock = virtual_clock()
        assert await clock.wait_for(asyncio.sleep(0, "done"), 1000) == "done"
        sleeper = asyncio.create_task(clock.sleep(2000))
        await asyncio.sleep(0)
        sleeper.cancel()
        await clock.sleep(1)
        await clock.settle()
        return clock.monotonic()

    assert run(main()) == 1


def test_an_error_at_the_moment_of_a_timeout_stays_one() -> None:
    async def main() -> None:
        async def fails() -> None:
            raise TimeoutError("its own")

        with pytest.raises(TimeoutError, match="its own"):
            await virtual_clock().wait_for(fails(), 1)

    run(main())


def test_time_stands_still_while_a_thread_is_at_work() -> None:
    async def main() -> float:
        clock = virtual_clock()
        ticking = asyncio.create_task(clock.sleep(60))
        await asyncio.to_thread(time.sleep, 0.2)
        elapsed = clock.monotonic()
        await ticking
        return elapsed

    assert run(main()) == 0


def test_a_thread_may_need_the_loop_to_go_on() -> None:
    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()

        async def result() -> str:
            await asyncio.sleep(0.1)  # real: a virtual time stands still for the thread
            return "result"

        def ask() -> str:
            return asyncio.run_coroutine_threadsafe(result(), loop).result(timeout=60)

        return await asyncio.to_thread(ask), virtual_clock().monotonic()

    assert run(main()) == ("result", 0)


def test_results_of_threads_come_in_the_order_of_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagestore_sim.virtual_clock.PATIENCE", 60.0)  # a busy machine may start them late

    async def main() -> list[int]:
        heard: list[int] = []

        async def ask(number: int) -> None:
            await asyncio.to_thread(time.sleep, 0.03 - number * 0.01)
            heard.append(number)

        await asyncio.gather(*(ask(number) for number in range(4)))
        return heard

    assert run(main()) == [0, 1, 2, 3]


def test_a_loop_without_threads_carries_out_calls_itself_in_the_same_order() -> None:
    async def main(heard: list[int | str]) -> None:
        async def ask(number: int) -> None:
            heard.append(await asyncio.to_thread(identity, number))
            with pytest.raises(ValueError, match="wrong"):
                await asyncio.to_thread(fail)
            heard.append(threading.get_ident() == await asyncio.to_thread(own_thread))

        await asyncio.gather(*(ask(number) for number in range(3)))

    def identity(number: int) -> int:
        return number

    def fail() -> None:
        raise ValueError("wrong")

    def own_thread() -> int:
        return threading.get_ident()

    for one in (identity, fail, own_thread):
        one.__module__ = "imagestore_sim"  # what never waits for the loop
    with_threads, without = [], []  # type: ignore[var-annotated]
    run(main(with_threads))
    run_virtually(main(without), without_threads=True)
    assert with_threads == [0, 1, 2, *[False] * 3]
    assert without == [0, 1, 2, *[True] * 3]


def test_calls_that_are_done_at_once_come_in_their_order_with_those_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagestore_sim.virtual_clock.PATIENCE", 60.0)  # a busy machine may start them late

    async def main() -> list[int]:
        loop, heard = asyncio.get_running_loop(), list[int]()
        assert isinstance(loop, VirtualEventLoop)

        async def ask(number: int) -> None:
            call = loop.do_at_once(partial(int, number)) if number % 2 else asyncio.to_thread(slow, number)
            heard.append(await call)

        await asyncio.gather(*(ask(number) for number in range(6)))
        heard.append(await loop.do_at_once(lambda: 6))
        with pytest.raises(ZeroDivisionError):
            await loop.do_at_once(lambda: 1 // 0)
        given_up = asyncio.ensure_future(ask(7))
        await asyncio.sleep(0)  # its result is among the arrivals
        await cancel_and_wait(given_up)
        return heard

    def slow(number: int) -> int:
        time.sleep(0.02)
        return number

    for order in (None, SeededOrder()):
        assert run_virtually(main(), order=order, without_threads=True) == [*range(7)]


def test_time_stands_still_while_the_database_is_at_work(tmp_path: Path) -> None:
    async def main() -> float:
        clock = virtual_clock()
        ticking = asyncio.create_task(clock.sleep(60))
        database = await Database.open(str(tmp_path / "test.db"))
        for _ in range(20):
            async with database.transaction() as connection:
                await connection.execute(text("SELECT 1"))
            await database.fetch("SELECT 1", ())
        await database.close()
        elapsed = clock.monotonic()
        await ticking
        return elapsed

    assert run(main()) == 0


def test_time_stands_still_while_http_is_under_way() -> None:
    async def main() -> tuple[float, int]:
        clock = virtual_clock()
        ticking = asyncio.create_task(clock.sleep(60))

        async def answer(request: web.Request) -> web.Response:
            return web.Response(body=await request.read())

        application = web.Application(client_max_size=2**26)
        application.router.add_post("/", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        size = 0
        async with aiohttp.ClientSession() as session:
            for _ in range(5):
                async with session.post(
                    f"http://127.0.0.1:{runner.addresses[0][1]}/", data=BytesIO(bytes(2**22))
                ) as response:
                    size += len(await response.read())
        await runner.cleanup()
        elapsed = clock.monotonic()
        await ticking
        return elapsed, size

    assert run(main()) == (0, 5 * 2**22)


def test_time_stands_still_while_simulated_hosts_are_probed() -> None:
    async def main() -> float:
        clock = virtual_clock()
        ticking = asyncio.create_task(clock.sleep(60))
        async with SimulatedHost("h-1", clock=clock) as host:

            async def resolve(hostname: str, port: int) -> tuple[str, int]:
                return host.address

            prober = Prober(clock, resolve=resolve)
            found = await prober.probe(Target("h-1", 22, "root", "/", "password"))
            assert isinstance(found, Capacity)
            assert set(found.phases.values()) == {0}
            await prober.close()
        elapsed = clock.monotonic()
        await ticking
        return elapsed

    assert run(main()) == 0


@pytest.mark.sshd
def test_time_flows_while_a_real_host_is_probed(sshd: OpenSshServer) -> None:
    async def main() -> tuple[float, float]:
        clock = virtual_clock()
        ticking = asyncio.create_task(clock.sleep(60))
        prober = Prober(clock, identity_file=sshd.identity_file)
        found = await prober.probe(Target("127.0.0.1", sshd.port, sshd.username, "/"))
        assert isinstance(found, Capacity)
        elapsed = clock.monotonic()
        await prober.close()
        await ticking
        return elapsed, clock.monotonic()

    elapsed, end = run(main())
    assert 0 < elapsed < 30
    assert end == 60


def test_a_host_outside_that_never_answers_takes_real_time() -> None:
    async def main() -> tuple[float, float]:
        clock = virtual_clock()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            prober = Prober(clock, connect_timeout=0.2)
            began = time.monotonic()
            await prober.probe(Target("127.0.0.1", silent.getsockname()[1], "root", "/", "password"))
            await prober.close()
            return clock.monotonic(), time.monotonic() - began

    elapsed, real = run(main())
    assert 0.2 <= elapsed < real + 0.05
    assert real > 0.15


def test_a_silent_peer_within_the_process_takes_none() -> None:
    async def main() -> tuple[float, float]:
        clock = virtual_clock()
        with socket.create_server(("127.0.0.1", 0)) as silent:

            async def resolve(hostname: str, port: int) -> tuple[str, int]:
                address: tuple[str, int] = silent.getsockname()
                return address

            prober = Prober(clock, resolve=resolve)
            began = time.monotonic()
            await prober.probe(Target("h-1", 22, "root", "/", "password"))
            await prober.close()
            return clock.monotonic(), time.monotonic() - began

    elapsed, real = run(main())
    assert elapsed == 5
    assert real < 5


def test_a_callback_that_is_always_ready_does_not_keep_sockets_waiting(tmp_path: Path) -> None:
    async def main() -> bytes:
        clock = virtual_clock()
        received = b""

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            await writer.drain()
            writer.close()

        async def listen(port: int) -> None:
            nonlocal received
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            received = await reader.read()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        task = asyncio.create_task(listen(server.sockets[0].getsockname()[1]))
        while not task.done():
            await asyncio.sleep(0)
        assert clock.monotonic() == 0
        server.close()
        return received

    assert run(main()) == b"hello"


def test_timers_of_libraries_neither_stall_virtual_time_nor_move_it() -> None:
    async def main() -> tuple[float, float]:
        clock = virtual_clock()
        asyncio.get_running_loop().call_later(3600, lambda: None)
        await clock.sleep(10)
        before = clock.monotonic()
        clock.pause()
        began = time.monotonic()
        await asyncio.sleep(0.05)
        assert time.monotonic() - began > 0.04
        return before, clock.monotonic()

    assert run(main()) == (10, 10)


def test_a_paused_clock_stands_still_and_a_step_is_exact() -> None:
    async def main() -> list[float]:
        clock = virtual_clock()
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                await clock.sleep(10)
                ticks.append(clock.monotonic())

        clock.pause()
        task = asyncio.create_task(tick())
        await asyncio.sleep(0.02)
        assert ticks == []
        await clock.step(30)
        assert ticks == [10, 20, 30]
        await clock.step(5)
        await asyncio.sleep(0.02)
        assert (clock.monotonic(), clock.paused) == (35, True)
        clock.resume()
        await clock.sleep(6)
        task.cancel()
        return ticks

    assert run(main()) == [10, 20, 30, 40]


def test_it_may_be_slowed_down_to_a_speed() -> None:
    async def main() -> tuple[float, float]:
        clock = virtual_clock()
        clock.set_speed(100)
        began = time.monotonic()
        await clock.sleep(10)
        real = time.monotonic() - began
        clock.set_speed(float("inf"))
        await clock.sleep(3600)
        return real, clock.monotonic()

    real, elapsed = run(main())
    assert 0.09 < real < 5
    assert elapsed == 3610


@rows("speed", [0, -1, float("nan")])
def test_no_clock_goes_backwards_or_stops_by_its_speed(speed: float) -> None:
    for clock in (VirtualClock(), RealClock()):
        with pytest.raises(ValueError, match="speed"):
            clock.set_speed(speed)


def test_uuids_are_the_same_in_each_run_and_differ_within_one() -> None:
    async def main() -> list[str]:
        return [new_uuid() for _ in range(3)]

    first = run(main())
    assert first == run(main())
    assert len(set(first)) == 3
    assert first != run_virtually(main(), seed=1)
    assert all(len(one) == 32 and one[12] == "4" and one[16] in "89ab" for one in first)


async def test_a_virtual_clock_on_a_real_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="an event loop of its own"):
        await VirtualClock().sleep(1)
    with pytest.raises(RuntimeError, match="runs in real time"):
        virtual_clock()
    assert new_uuid() != new_uuid()


@pytest.mark.imagestore_lab(clock="virtual")
async def test_the_marker_s_loop_is_virtual() -> None:
    assert isinstance(asyncio.get_running_loop(), VirtualEventLoop)
    await virtual_clock().sleep(1e6)


@pytest.mark.processes
def test_a_marker_that_names_another_clock_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.imagestore_lab(clock='imaginary')\nasync def test_it(imagestore_lab): ...\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=tmp_path)
    assert finished.returncode != 0
    assert "imagestore_lab(clock=...) is 'virtual' or 'real', not 'imaginary'" in finished.stdout + finished.stderr
