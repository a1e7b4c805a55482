"""Tasks are logged when they fail and cancelled with their owner; large inputs are worked on in a thread."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import threading

import pytest

from imagestore_sim import tasks as tasks_module
from imagestore_sim.tasks import (
    LARGE,
    OneThread,
    Tasks,
    by_size,
    cancel_and_wait,
    new_event_loop,
    together,
    until_ended,
)
from processes import child


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_task_runs_under_its_name_and_is_counted_until_it_ends() -> None:
    tasks = Tasks()
    task = tasks.begin(asyncio.sleep(0), "a nap")
    assert (task.get_name(), len(tasks)) == ("a nap", 1)
    await task
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_a_failure_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("no")

    tasks = Tasks()
    await asyncio.wait([tasks.begin(fail(), "the attempt")])
    await asyncio.sleep(0)
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "task the attempt failed")
    assert "ValueError: no" in caplog.text
    assert len(tasks) == 0


async def test_close_cancels_what_runs_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()
    running = [tasks.begin(_for_ever(), str(number)) for number in range(3)]
    await tasks.close()
    assert all(task.cancelled() for task in running)
    assert len(tasks) == 0
    assert caplog.records == []


async def test_a_task_that_loses_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_module, "CANCEL_AGAIN_SECONDS", 0.01)
    arrived = asyncio.get_running_loop().create_future()

    async def wait_twice() -> None:
        await asyncio.wait_for(arrived, 60)  # of Python 3.11: its end and a cancellation come in the same turn
        await _for_ever()

    tasks = Tasks()
    task = tasks.begin(wait_twice(), "the loser")
    await asyncio.sleep(0)
    arrived.set_result(None)
    async with asyncio.timeout(60):
        await tasks.close()
    assert task.cancelled()


async def test_close_waits_for_clean_up_and_for_tasks_that_it_begins() -> None:
    done: list[str] = []

    async def tidy(then: str) -> None:
        try:
            await _for_ever()
        finally:
            await asyncio.sleep(0.005)
            done.append(then)
            if then == "first":
                tasks.begin(tidy("second"), "second")
                await asyncio.sleep(0)

    tasks = Tasks()
    tasks.begin(tidy("first"), "first")
    await asyncio.sleep(0)
    await tasks.close()
    assert done == ["first", "second"]
    assert len(tasks) == 0


async def test_a_failure_while_closing_is_logged_and_keeps_nothing_running(caplog: pytest.LogCaptureFixture) -> None:
    async def fail_late() -> None:
        try:
            await _for_ever()
        finally:
            raise ValueError("too late")

    tasks = Tasks()
    other = tasks.begin(_for_ever(), "other")
    tasks.begin(fail_late(), "late")
    await asyncio.sleep(0)
    await tasks.close()
    assert other.cancelled()
    assert "task late failed" in caplog.text


async def test_an_owner_without_tasks_can_be_closed() -> None:
    await Tasks().close()


async def test_large_inputs_are_worked_on_in_a_thread_in_their_order() -> None:
    main, seen = threading.get_ident(), list[int]()

    def work(number: int) -> int:
        seen.append(number)
        return threading.get_ident()

    assert await by_size(LARGE - 1, work, 1) == main
    threads = await asyncio.gather(*(by_size(LARGE, work, number) for number in range(2, 20)))
    assert main not in threads
    assert len(set(threads)) == 1
    assert seen == list(range(1, 20))
    with pytest.raises(ZeroDivisionError):
        await by_size(LARGE, lambda: 1 // 0)


async def test_a_program_exits_while_a_large_input_is_worked_on() -> None:
    script = (
        "import asyncio, time; from imagestore_sim.tasks import LARGE, by_size\n"
        "async def main():\n"
        "    task = asyncio.create_task(by_size(LARGE, time.sleep, 60)); await asyncio.sleep(0.1); print('ends')\n"
        "asyncio.run(main())"
    )
    async with child(sys.executable, "-c", script) as process:
        assert await asyncio.wait_for(process.wait(), 45) == 0


async def test_no_garbage_is_collected_while_large_inputs_are_worked_on() -> None:
    def collects() -> bool:
        return gc.isenabled()

    async def both(first: OneThread, second: OneThread) -> list[bool]:
        work = [by_size(LARGE, collects, thread=one) for one in (first, second, first)]
        return list(await asyncio.gather(*work))

    assert gc.isenabled()
    assert await both(OneThread("one"), OneThread("two")) == [False, False, False]
    assert await by_size(LARGE - 1, collects)
    with pytest.raises(ZeroDivisionError):
        await by_size(LARGE, lambda: 1 // 0)
    assert gc.isenabled()


async def test_work_goes_to_its_end_without_its_caller_and_is_cancelled_with_its_owner() -> None:
    async def work(go_on: asyncio.Event, done: list[str]) -> None:
        await go_on.wait()
        done.append("done")

    tasks, go_on, done = Tasks(), asyncio.Event(), list[str]()
    caller = asyncio.create_task(tasks.to_its_end(work(go_on, done), "the removal"))
    await asyncio.sleep(0)
    await cancel_and_wait(caller)
    assert (caller.cancelled(), len(tasks)) == (True, 1)
    go_on.set()
    await asyncio.sleep(0.01)
    assert (done, len(tasks)) == (["done"], 0)
    left = asyncio.create_task(tasks.to_its_end(_for_ever(), "the rest"))
    await asyncio.sleep(0)
    await tasks.close()
    assert len(tasks) == 0
    with pytest.raises(asyncio.CancelledError):
        await left


async def test_a_failure_is_logged_where_the_caller_does_not_learn_of_it(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(go_on: asyncio.Event) -> None:
        await go_on.wait()
        raise ValueError("no")

    tasks, go_on = Tasks(), asyncio.Event()
    callers = [asyncio.create_task(tasks.to_its_end(fail(go_on), str(number))) for number in range(2)]
    await asyncio.sleep(0)
    await cancel_and_wait(callers[0])
    go_on.set()
    with pytest.raises(ValueError, match="no"):
        await callers[1]
    assert [record.getMessage() for record in caplog.records] == ["task 0 failed"]


async def test_one_that_fails_ends_those_that_run_together_with_it() -> None:
    ended: list[str] = []

    async def hold() -> None:
        try:
            await _for_ever()
        finally:
            await asyncio.sleep(0)
            ended.append("the other")

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await together(hold(), fail())
    assert ended == ["the other"]
    assert await together(asyncio.sleep(0, 1), asyncio.sleep(0, 2)) == [1, 2]


def test_a_loop_is_closed_with_a_connection_left_open_where_warnings_are_errors() -> None:
    loop = new_event_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        left = loop.run_until_complete(loop.create_connection(asyncio.Protocol, *listening.getsockname()))
        with pytest.raises(ResourceWarning, match="unclosed resource <TCP"):
            loop.close()
    assert loop.is_closed()
    del left


async def test_who_waits_for_a_task_gets_none_of_its_errors_and_may_stop_waiting() -> None:
    async def fail() -> None:
        raise ValueError("no")

    failing = asyncio.create_task(fail())
    await until_ended(failing)
    assert isinstance(failing.exception(), ValueError)
    await until_ended(failing)  # one that ended before
    running = asyncio.create_task(_for_ever())
    waiting = [asyncio.create_task(until_ended(running)) for _ in range(2)]
    await asyncio.sleep(0)
    await cancel_and_wait(waiting[0])
    assert waiting[0].cancelled()
    assert not running.done()
    running.cancel()
    await waiting[1]
    assert running.cancelled()


async def test_tasks_are_cancelled_in_the_order_in_which_they_began() -> None:
    """Undone work shows in events: two runs of a story must undo it in the same order."""
    ended: list[int] = []

    async def work(number: int) -> None:
        try:
            await _for_ever()
        finally:
            ended.append(number)

    tasks = Tasks()
    for number in range(500):
        tasks.begin(work(number), f"work {number}")
    await asyncio.sleep(0)
    await tasks.close()
    assert ended == [*range(500)]
