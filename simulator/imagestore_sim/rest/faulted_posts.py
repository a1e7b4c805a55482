"""What faults of the management plane do to posts to web hooks."""

from __future__ import annotations

import asyncio
from functools import partial

from imagestore_sim.faults import Meets
from imagestore_sim.faults.selection import Subject
from imagestore_sim.masking import masked_path
from imagestore_sim.outbox import Course, Delivery
from imagestore_sim.rest.node_faults import AppliedNodeFault, NodeFaults


class FaultedPost:
    """One post that meets faults (`faults.posting.Posting`)."""

    def __init__(self, faults: NodeFaults) -> None:
        self._faults = faults
        self._acting: AppliedNodeFault | None = None
        self.course = Course()

    def meet(self, applied: AppliedNodeFault) -> None:
        """Let a fault act."""
        self._acting = applied
        applied.fault.post(self)

    def lose(self) -> None:
        """Send it never."""
        self.course.lost = True

    def delay(self, seconds: float) -> None:
        """Send it that much later, or as soon as the fault that acts is healed."""
        self.course.waits.append(partial(self._faults.hold, self._current, seconds))

    def repeat(self, copies: int) -> None:
        """Send it that many times more once the receiver has taken it."""
        self.course.copies += copies

    def send_after_the_next(self, seconds: float) -> None:
        """Send it once a later post to the same address has ended, or after that many seconds."""
        self.course.after_next.append(partial(self._wait_for_next, self._current, seconds))

    async def _wait_for_next(self, applied: AppliedNodeFault, seconds: float, next_end: asyncio.Future[None]) -> None:
        await self._faults.hold(applied, seconds, next_end)

    @property
    def _current(self) -> AppliedNodeFault:
        assert self._acting is not None, "a fault acts"
        return self._acting


async def course_of(faults: NodeFaults, delivery: Delivery) -> Course | None:
    """Return how a delivery goes with the faults that it meets; None: as usual."""
    if faults.is_empty:
        return None
    roles = frozenset((Meets.HOOK,))
    subject = Subject(method="POST", path=delivery.url, client="", user_agent="", api=delivery.subject, roles=roles)
    met = faults.meeting(subject)
    if not met:
        return None
    content = {"method": "POST", "path": masked_path(delivery.url), "api": delivery.subject, "post": delivery.about}
    post = FaultedPost(faults)
    await faults.record_hits(met, content)
    for applied in met:
        post.meet(applied)
    return post.course
