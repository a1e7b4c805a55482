"""The clients under test of a scenario: they give up on late answers, try again, and poll jobs, as real ones do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import aiohttp

from imagestore_sim.clock import Clock
from imagestore_sim.plain_reasons import plain_reason
from imagestore_sim.scenario.format.api_steps import ApiCall, ClientStep
from imagestore_sim.scenario.play.answers import EXPIRED, error_code
from imagestore_sim.scenario.play.posts import Posts
from imagestore_sim.scenario.play.results import Request
from imagestore_sim.scenario.play.story_time import StoryTime
from imagestore_sim.testing.client import PREFIX, Answer, login_of
from imagestore_sim.units import duration_text, read_date

GATEWAY_STATUSES = (502, 503, 504)
"""With a body that is no error of ZStack, they come from a proxy: the call may have happened or not."""
POLL = "/api-jobs"
POST = "/web-hook"
LOGIN = "/accounts/login"
NO_ANSWER_STATUS = 0
NodeFor = Callable[[ApiCall], Awaitable[str]]
"""Returns the URL of the node for a call."""
NodeAt = Callable[[str], str]
"""Returns the name of the one of several nodes that a URL leads to, or ''."""
NoteRequest = Callable[[str, Request], None]
"""Called with the name of a client and each of its requests."""


class NoAnswer(Exception):
    """A request got no answer that a client can read; the text says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client got in the end: the last answer, or why there is none; how often it sent the call; the time."""

    answer: Answer | None
    problem: str
    sent: int
    seconds: float
    posts: int
    """How many posts of web hooks have arrived at the client so far."""

    @property
    def status(self) -> int:
        """Return the status of the last answer; 0 without one."""
        return NO_ANSWER_STATUS if self.answer is None else self.answer.status

    @property
    def code(self) -> str:
        """Return the code of ZStack's error, such as SYS.1006, or ''."""
        return "" if self.answer is None else error_code(self.answer)

    @property
    def text(self) -> str:
        """Return the text of the last answer, or why there is none."""
        return self.problem if self.answer is None else self.answer.text


class ClientsUnderTest:
    """The clients of a scenario, by name; each has a session from its first step on."""

    def __init__(self, clock: Clock, time: StoryTime, note: NoteRequest, node_at: NodeAt) -> None:
        self._clock = clock
        self._time = time
        self._note = note
        self._node_at = node_at
        self._clients: dict[str, _Client] = {}

    async def carry_out(self, step: ClientStep, call: ApiCall, node_for: NodeFor) -> Outcome:
        """Make a call as the step says, and return what the client got."""
        client = self._clients.get(step.who)
        if client is None:
            client = self._clients[step.who] = _Client(step.who, self._clock, self._time, self._note, self._node_at)
        return await client.carry_out(step, call, node_for)

    async def close(self) -> None:
        """Close all connections."""
        while self._clients:
            await self._clients.popitem()[1].close()


class _Client:
    def __init__(self, who: str, clock: Clock, time: StoryTime, note: NoteRequest, node_at: NodeAt) -> None:
        self._who = who
        self._clock = clock
        self._time = time
        self._note = note
        self._node_at = node_at
        self._session = ""
        self._expired_date = ""
        self._posts = Posts(self._note_post)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": who},
            middlewares=[_send_once],
        )

    async def close(self) -> None:
        await self._posts.close()
        await self._http.close()

    async def carry_out(self, step: ClientStep, call: ApiCall, node_for: NodeFor) -> Outcome:
        """Log in if need be, call, follow the job; again, as the step allows."""
        began = self._clock.monotonic()
        sent, left = 0, step.retries
        may_log_in_again = step.logs_in_again
        while True:
            try:
                if not self._session or (step.reads_expiry and self._has_expired()):
                    await self._log_in(step, await node_for(call))
                sent += 1
                answer = await self._follow(step, await self._ask(step, await node_for(call), call))
                problem = ""
            except NoAnswer as error:
                answer, problem = None, str(error)
            outcome = Outcome(answer, problem, sent, round(self._clock.monotonic() - began, 3), self._posts.count)
            if outcome.code == EXPIRED and may_log_in_again:
                self._session, may_log_in_again = "", False
            elif left and _is_worth_another(outcome):
                left -= 1
            else:
                return outcome
            await self._clock.sleep(step.pause)

    async def _log_in(self, step: ClientStep, url: str) -> None:
        body = login_of(step.account, "password")  # of every account of a scenario
        answer = await self._send(step, "PUT", f"{url}{PREFIX}{LOGIN}", LOGIN, body)
        session = answer.body.get("inventory")
        if answer.status != 200 or not isinstance(session, dict) or not session.keys() >= {"uuid", "expiredDate"}:
            raise NoAnswer(f"the login failed: {answer.status} {answer.text[:200]}")
        self._session, self._expired_date = str(session["uuid"]), str(session["expiredDate"])

    def _has_expired(self) -> bool:
        """Return whether the session has ended by the client's clock and the date, in UTC, that the login answered."""
        expired = read_date(self._expired_date).replace(tzinfo=UTC)
        return expired.timestamp() <= self._clock.time()

    async def _ask(self, step: ClientStep, url: str, call: ApiCall) -> Answer:
        headers = {"X-Web-Hook": await self._posts.url()} if step.hook else {}
        return await self._send(step, call.method, f"{url}{PREFIX}{call.path}", call.path, call.body, headers)

    async def _follow(self, step: ClientStep, answer: Answer) -> Answer:
        """Follow the job that an answer names, until it has ended or the client gives up."""
        if answer.status != 202:
            return answer
        return await (self._wait_for_post(step, answer) if step.hook else self._poll(step, answer))

    async def _wait_for_post(self, step: ClientStep, answer: Answer) -> Answer:
        job = str(answer.body.get("location")).rpartition("/")[2]
        try:
            return await self._clock.wait_for(self._posts.result_of(job), step.gives_up)
        except TimeoutError:
            raise NoAnswer(f"no post has come within {duration_text(step.gives_up)}") from None

    def _note_post(self, result: Answer) -> None:
        self._note(self._who, Request(self._time.now, "POST", POST, result.status, error_code(result)))

    async def _poll(self, step: ClientStep, answer: Answer) -> Answer:
        location, until = str(answer.body.get("location")), self._clock.monotonic() + step.gives_up
        while answer.status == 202:
            if self._clock.monotonic() >= until:
                raise NoAnswer(f"the job has not ended within {duration_text(step.gives_up)}")
            await self._clock.sleep(step.poll)
            answer = await self._send(step, "GET", location, POLL, None)
        return answer

    async def _send(
        self,
        step: ClientStep,
        method: str,
        url: str,
        shown: str,
        body: Any,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, and return its answer. Raise NoAnswer if there is none, or none that is JSON."""
        began, status, error = self._time.now, NO_ANSWER_STATUS, ""
        try:
            answer = await self._clock.wait_for(self._answer(method, url, body, headers or {}), step.timeout)
            status, error = answer.status, error_code(answer)
            if status in (200, 202) and not answer.body and answer.text.strip() != "{}":
                raise NoAnswer("its body is no JSON object")
        except NoAnswer as problem:
            error = str(problem)
            raise
        except TimeoutError:
            error = f"no answer within {duration_text(step.timeout)}"
            raise NoAnswer(error) from None
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            error = plain_reason(problem)
            raise NoAnswer(error) from None
        finally:
            self._note(self._who, Request(began, method, shown, status, error, self._node_at(url)))
        return answer

    async def _answer(self, method: str, url: str, body: Any, headers: Mapping[str, str]) -> Answer:
        session = {"Authorization": f"OAuth {self._session}"} if self._session else {}
        async with self._http.request(method, url, json=body, headers={**session, **headers}) as response:
            return Answer(response.status, response.headers, await response.text(errors="replace"))


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Raise NoAnswer for a connection that is lost: aiohttp itself would send a GET, PUT or DELETE once more."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise NoAnswer(plain_reason(error)) from error


def _is_worth_another(outcome: Outcome) -> bool:
    """Return whether a client that tries again does so: without an answer of ZStack."""
    return outcome.answer is None or (outcome.status in GATEWAY_STATUSES and not outcome.code)
