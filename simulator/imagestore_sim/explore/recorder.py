"""Writes down what a node does while a story is played: its answers, posts, probes, and the errors that it logs."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import orjson
from aiohttp import web

from imagestore_sim.backup_storage.events import Event
from imagestore_sim.context_managers import Startable
from imagestore_sim.explore.runs import Call, Census, Json, Played, Post, Told, Turn
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.probe.login_slots import Purpose
from imagestore_sim.rest.faulted_request import HEADER, PAST_FAULTS
from imagestore_sim.scenario.play.posts import LOOPBACK, PATH
from imagestore_sim.web_server import Handle

EVENTS = f"{PATH}/events"
"""Where the receiver takes events: below the path whose port a log leaves out, for it differs from run to run."""
PREFIX = re.compile("(/zstack)?/v1")
JOB = re.compile(r"/api-jobs/([0-9a-f]+)")
OPEN_FILES = "/proc/self/fd"
Now = Callable[[], float]
"""Seconds since the story's beginning."""


class Recorder:
    """Fills in a Played."""

    def __init__(self, played: Played, now: Now) -> None:
        self._played = played
        self._now = now
        self._numbers = itertools.count(1)
        """Of all that happens, in its order."""
        self._living: dict[str, tuple[int, ManagementNode]] = {}
        """By name: the latest start of each node, and the node."""

    def tell(self, event: Event, name: str = "") -> None:
        """Write down an event that the node has published: the one of several that has this name."""
        life, node = self._living.get(name, (1, None))
        self._played.events.append(event)
        self._played.told.append(Told(self._now(), next(self._numbers), life, _epoch_of(node)))

    def watch(self, node: ManagementNode, name: str = "") -> None:
        """Write down what a node does that has not started yet: the one of several that has this name."""
        self._played.starts.append(self._now())
        self._played.start_numbers.append(next(self._numbers))
        self._played.lives.append(name)
        life = len(self._played.starts)
        self._living[name] = life, node

        def turn(hostname: str, purpose: Purpose) -> AbstractContextManager[None]:
            return self._turn(Turn(hostname, purpose, self._now(), node=life, epoch=_epoch_of(node)))

        node.http.around_rest = partial(self._around, life)
        node.foundation.prober.watch = turn

    def _around(self, life: int, answer: Handle) -> Handle:
        async def recording(request: web.BaseRequest) -> web.StreamResponse:
            call = Call(self._now(), request.method, PREFIX.sub("", request.raw_path, count=1))
            call.number, call.node = next(self._numbers), life
            call.meets_faults = request.headers.get(HEADER) != PAST_FAULTS
            self._played.calls.append(call)
            try:
                response = await answer(request)
            finally:
                call.body = _json(request._read_bytes or b"")  # what has been read: a call may end without an answer
            call.ended, call.status, call.answer = self._now(), response.status, _json(_body_of(response))
            call.job, call.last = _job_of(call), next(self._numbers)
            return response

        return recording

    @contextmanager
    def _turn(self, turn: Turn) -> Iterator[None]:
        turn.first = next(self._numbers)
        self._played.turns.append(turn)
        try:
            yield
        finally:
            turn.ended, turn.last = self._now(), next(self._numbers)


def _epoch_of(node: ManagementNode | None) -> int:
    """Return the epoch of the members as a node knows them; 0 before its database is open, and of the only node."""
    return node.parts.cluster.peers.epoch if node is not None and node.is_open else 0


def _body_of(response: web.StreamResponse) -> bytes:
    return response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""


def _json(text: bytes) -> Json:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _job_of(call: Call) -> str | None:
    """Return the job that a call polls, or that its answer names."""
    location = call.answer.get("location") if isinstance(call.answer, dict) else None
    found = JOB.search(call.path) or JOB.search(str(location or ""))
    return found[1] if found else None


class EventReceiver(Startable):
    """Receives events by a web hook, on a free port of this machine."""

    def __init__(self, posts: list[Post], now: Now) -> None:
        self._posts = posts
        self._now = now
        application = web.Application()
        application.router.add_post(EVENTS, self._take)
        self._runner = web.AppRunner(application)

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, 0).start()

    @property
    def url(self) -> str:
        """The address to post to."""
        return f"http://{LOOPBACK}:{self._runner.addresses[0][1]}{EVENTS}"

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self._posts.append(Post(self._now(), request.path, dict(request.headers), _json(await request.read())))
        response = web.Response()
        response.force_close()  # no connection of ours counts as one that the node has left open
        return response


class ErrorLines(logging.Handler):
    """Keeps what the program and asyncio log as errors; see `collecting`."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._lines = lines
        self.is_deaf = False
        """Whether lines are dropped: those of a node that has been killed are nobody's."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, with the last line of its traceback."""
        if not self.is_deaf:
            error = record.exc_info[1] if record.exc_info else None
            cause = "" if error is None else f": {type(error).__name__}: {error}"
            self._lines.append(f"{record.name}: {record.getMessage()}{cause}")

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect while the block runs, and let nothing reach the terminal."""
        loggers = [logging.getLogger(name) for name in ("imagestore_sim", "asyncio", "aiohttp", "sqlalchemy")]
        before = [one.propagate for one in loggers]
        for one in loggers:
            one.addHandler(self)
            one.propagate = False
        try:
            yield
        finally:
            for one, propagate in zip(loggers, before, strict=True):
                one.removeHandler(self)
                one.propagate = propagate


def census() -> Census:
    """Return what this process holds now: the tasks of the running loop, and open files."""
    return Census(Counter(sorted(map(_name, asyncio.all_tasks()))), open_files())


def open_files() -> int:
    """Return the number of open files; 0 where the system does not tell."""
    return len(os.listdir(OPEN_FILES)) if os.path.isdir(OPEN_FILES) else 0


def _name(task: asyncio.Task[object]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())
