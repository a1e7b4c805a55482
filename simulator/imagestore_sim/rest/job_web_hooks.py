"""Web hooks of jobs: the result of a job, posted to the address that its call named (wire-protocol 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

from imagestore_sim.clock import Clock
from imagestore_sim.outbox import Delivery, FindCourse, Outbox, RetryPolicy
from imagestore_sim.rest.job_store import JobResult
from imagestore_sim.rest.parameters import Api

RETRIES = RetryPolicy(attempts=15, pause=2.0, timeout=10.0)


@dataclass(frozen=True, slots=True)
class JobWebHook:
    """Where to post the result of a job, and whether with its schema."""

    url: str
    job: str
    api: Api
    with_schema: bool


class JobWebHooks:
    """Posts the results of jobs, up to 15 times each, until the receiver accepts one."""

    def __init__(self, clock: Clock, find_course: FindCourse | None = None) -> None:
        self._outbox = Outbox(clock, RETRIES, find_course)

    def cut_off(self) -> None:
        """Post nothing more, as a kill -9 would."""
        self._outbox.cut_off()

    async def close(self) -> None:
        """Drop the results that are not delivered yet."""
        await self._outbox.close()

    def deliver(self, hook: JobWebHook, result: JobResult) -> None:
        """Start delivering a result, in the background."""
        body = result.body(with_schema=hook.with_schema)
        self._outbox.post(Delivery(hook.url, body, f"job {hook.job}", _headers(hook, result), hook.api.name))


def _headers(hook: JobWebHook, result: JobResult) -> dict[str, str]:
    headers = {
        "X-Job-UUID": hook.job,
        "X-Job-Success": "true" if result.success else "false",
    }
    if hook.api.batch:
        headers["X-Job-Batch"] = _batch_state(result)
    return headers


def _batch_state(result: JobResult) -> str:
    done, total = result.reply.batch or (0, 0)
    if not result.success or not done:
        return "FAIL"
    return "SUCCESS" if done == total else "PARTIAL"
