"""Posts to receivers over real sockets: one that hangs, fails or never ends its answer delays no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from imagestore_sim import outbox
from imagestore_sim.clock import RealClock
from imagestore_sim.outbox import Delivery, Outbox, RetryPolicy
from imagestore_sim.virtual_clock import run_virtually, virtual_clock

HUNG_SECONDS = 1500.0
RETRIES = RetryPolicy(attempts=2, pause=0.01, timeout=HUNG_SECONDS)
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Receivers:
    """Sockets that take posts; `arrivals` are the times of each path, in monotonic seconds."""

    def __init__(self) -> None:
        self.arrivals: dict[str, list[float]] = {}
        self.url = ""
        self.over = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection. The path of a request decides how it is answered."""
        try:
            while line := await reader.readline():
                path = line.split()[1].decode()
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                await reader.readexactly(length)
                self.arrivals.setdefault(path, []).append(time.monotonic())
                await self.answer(path, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path.startswith("/hung"):
            await self.over.wait()
        if path == "/interim":
            while True:
                writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)
                await writer.drain()
        if path.startswith("/endless"):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
        status = {"/bad": b"500 Oops", "/moved": b"307 Moved\r\nLocation: /good"}.get(path, b"200 OK")
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\n\r\n" % status)


@asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    found = Receivers()
    server = await asyncio.start_server(found.take, "127.0.0.1", 0, backlog=2000)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        found.over.set()
        server.close()
        await asyncio.sleep(0.05)


async def until(true: Callable[[], bool], seconds: float = 240.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def busy() -> None:
    """Take a third of a second, in which no virtual time passes."""
    for _ in range(30):
        time.sleep(0.01)  # noqa: ASYNC251 - as a machine that has other work
        await asyncio.sleep(0)


def test_a_post_that_a_busy_machine_delays_is_not_late_where_the_clock_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_done_soon() -> bool:
        return await outbox._is_done_soon(asyncio.create_task(busy()), virtual_clock())

    monkeypatch.setattr(outbox, "SLOW_AFTER", 0.01)
    assert run_virtually(is_done_soon())


@pytest.mark.plain_loop
@pytest.mark.thorough
async def test_receivers_that_hang_do_not_delay_one_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    hung = 300  # more than are tried at once
    monkeypatch.setattr(outbox, "SLOW_AFTER", 0.3)
    async with receivers() as there:
        box = Outbox(RealClock(), RETRIES)
        try:
            for event in range(2):
                for one in range(hung):
                    box.post(Delivery(f"{there.url}/hung-{one}", b"{}", f"event {event}"))
                box.post(Delivery(f"{there.url}/good", b"{}", f"event {event}"))
            await until(lambda: len(there.arrivals.get("/good", ())) == 2, HUNG_SECONDS / 5)
            box.post(Delivery(f"{there.url}/good", b"{}", "event 4"))
            await until(lambda: len(there.arrivals["/good"]) == 3, HUNG_SECONDS / 5)
            await until(lambda: len(box._tasks) <= 2 * hung)  # the last one may have its answer still to read
        finally:
            await box.close()
    assert not [one for one in asyncio.all_tasks() if "event" in one.get_name()]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/bad", "it answered 500"),
        ("/moved", "it answered 307"),
        ("/endless", None),
        ("/interim", "does not answer as a server does that speaks HTTP"),
        ("/good", None),
    ],
)
async def test_what_an_answer_means(path: str, problem: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """A redirection is not followed, since the body is for that receiver alone. Only the status is read."""
    caplog.set_level("INFO")
    async with receivers() as there:
        box = Outbox(RealClock(), RETRIES)
        try:
            box.post(Delivery(f"{there.url}{path}", b"{}", "event 1"))
            await until(lambda: not box._receivers)
        finally:
            await box.close()
        assert list(there.arrivals) == [path]
        assert len(there.arrivals[path]) == (1 if problem is None else RETRIES.attempts)
    logged = [one.getMessage() for one in caplog.records if "attempt 1:" in one.getMessage()]
    assert logged == ([] if problem is None else [f"web hook {there.url}{path}, event 1: attempt 1: {problem}"])


NO_URLS = (
    *("", "x", "//", "//x", "//u:p@x", "//127.0.0.1:1/x", "http:", "http://", "http:///x", "http://[::1", "http://[]"),
    *("ftp://h/", "ws://h/", "tcp://127.0.0.1:1", "file:///etc/passwd", "http://\udcff/", "http://h:99999/"),
    *("http://h:-1/", f"http://{'a' * 64}.example/", "http://..", f"http://{chr(252) * 64}/", "http://😀:😀@h/"),
)


@pytest.mark.parametrize("url", NO_URLS)
async def test_an_invalid_url_is_given_up(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    box = Outbox(RealClock(), RETRIES)
    try:
        box.post(Delivery(url, b"{}", "event 1"))
        await until(lambda: not box._receivers)
    finally:
        await box.close()
    logged = [(one.levelname, one.getMessage().rpartition("event 1: ")[2]) for one in caplog.records]
    why = "is not the URL of a server that speaks HTTP, such as http://127.0.0.1:8080"
    tries = [("INFO", f"attempt {number}: {why}") for number in (1, 2)]
    assert logged == [*tries, ("WARNING", "given up after 2 attempts")]


async def test_deliveries_that_wait_for_a_receiver_are_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "MOST_WAITING_FOR_ONE", 5)
    async with receivers() as there:
        box = Outbox(RealClock(), RETRIES)
        try:
            for event in range(9):
                box.post(Delivery(f"{there.url}/hung", b"{}", f"event {event}"))
            await asyncio.sleep(0)
            assert [one.getMessage().split("event ")[1] for one in caplog.records] == [
                "5 was dropped: 5 wait already, 5 for all receivers",
                "6 was dropped, as were 1 before it: 5 wait already, 5 for all receivers",
                "8 was dropped, as were 3 before it: 5 wait already, 5 for all receivers",
            ]
            assert len(box._tasks) == 5
        finally:
            await box.close()


async def test_the_bytes_of_deliveries_that_wait_are_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "MOST_BYTES", 100)
    async with receivers() as there:
        box = Outbox(RealClock(), RETRIES)
        try:
            box.post(Delivery(f"{there.url}/good", b"x" * 1000, "one alone"))
            box.post(Delivery(f"{there.url}/good", b"x", "one more"))
            await until(lambda: box.is_idle)
            for size in (60, 41, 40):
                box.post(Delivery(f"{there.url}/hung", b"x" * size, f"of {size}"))
            await until(lambda: len(there.arrivals.get("/hung", ())) == 2)
        finally:
            await box.close()
        assert len(there.arrivals["/good"]) == 1
    dropped = [one.getMessage() for one in caplog.records]
    assert ["one more was dropped" in one or "of 41 was dropped" in one for one in dropped] == [True, True]


async def test_receivers_of_deliveries_that_are_dropped_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_WAITING", 1)
    async with receivers() as there:
        box = Outbox(RealClock(), RETRIES)
        try:
            for number in range(10):
                box.post(Delivery(f"{there.url}/hung{number}", b"{}", "event"))
            assert list(box._receivers) == [f"{there.url}/hung0"]
        finally:
            await box.close()


def test_a_log_line_shows_no_secret_of_a_url() -> None:
    delivery = Delivery("http://u:hush@h:80/hooks;token=hush/x?a=1&p%61ssword=hush&api_key=hush", b"", "job")
    assert "hush" not in delivery.receiver
    assert delivery.receiver.startswith("http://***@h:80/hooks")
    assert "a=1" in delivery.receiver


async def test_a_delivery_is_posted_unchanged() -> None:
    taken: list[tuple[str, str | None, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append((request.headers["Content-Type"], request.headers.get("X-Job-UUID"), await request.read()))
        return web.Response()

    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    box = Outbox(RealClock(), RETRIES)
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        box.post(Delivery(url, b'{"a":1}', "job 1", {"X-Job-UUID": "1"}))
        await until(lambda: bool(taken))
    finally:
        await box.close()
        await runner.cleanup()
    assert taken == [("application/json; charset=utf-8", "1", b'{"a":1}')]
