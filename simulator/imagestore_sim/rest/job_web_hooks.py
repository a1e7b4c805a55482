"""Web hooks: the result of a job, posted to the address that its call named (wire-protocol 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

from imagestore_sim.clock import Clock
from imagestore_sim.outbox import Delivery, Outbox, RetryPolicy
from imagestore_sim.rest.jobs import Ended
from imagestore_sim.rest.parameters import Api

RETRIES = RetryPolicy(attempts=15, pause=2.0, timeout=10.0)


@dataclass(frozen=True, slots=True)
class JobWebHook:
    """Where the result of a job is to go, and whether with its schema."""

    url: str
    job: str
    api: Api
    with_schema: bool


class JobWebHooks:
    """Delivers the results of jobs, again and again until the other side takes one or the attempts are used up."""

    def __init__(self, clock: Clock) -> None:
        self._outbox = Outbox(clock, RETRIES)

    async def close(self) -> None:
        """Give up what has not been delivered yet."""
        await self._outbox.close()

    def deliver(self, hook: JobWebHook, ended: Ended) -> None:
        """Begin to deliver how a job ended."""
        body = ended.body(with_schema=hook.with_schema)
        self._outbox.post(Delivery(hook.url, body, f"job {hook.job}", _headers(hook, ended)))


def _headers(hook: JobWebHook, ended: Ended) -> dict[str, str]:
    headers = {
        "X-Job-UUID": hook.job,
        "X-Job-Success": "true" if ended.success else "false",
    }
    if hook.api.batch:
        headers["X-Job-Batch"] = _batch(ended)
    return headers


def _batch(ended: Ended) -> str:
    done, total = ended.reply.batch or (0, 0)
    if not ended.success or not done:
        return "FAIL"
    return "SUCCESS" if done == total else "PARTIAL"
