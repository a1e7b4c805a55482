"""The periodic expunge: removes images for good some time after their deletion (observed 13, 15)."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from datetime import datetime, timedelta

from sqlalchemy import select

from imagestore_sim.backup_storage.errors import BackupStorageError
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import Peers
from imagestore_sim.database import Database
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.database.models import ImageBackupStorageRef
from imagestore_sim.database.zstack_global_config import integer
from imagestore_sim.images.deletion import POLICY, ImageDeletion
from imagestore_sim.images.rows import DELETED
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
INTERVAL = integer("image", "expungeInterval")
"""Seconds between two rounds."""
PERIOD = integer("image", "expungePeriod")
"""Seconds that a deleted image is kept at least."""
NEVER = "Never"
"""The value of `image.deletionPolicy` with which deleted images are kept for ever."""
Ref = ImageBackupStorageRef


class PeriodicExpunge:
    """Expunges what was deleted `image.expungePeriod` seconds ago or earlier, every `image.expungeInterval` seconds."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        configuration: GlobalConfiguration,
        deletion: ImageDeletion,
        supervisor: Supervisor,
        peers: Peers,
    ) -> None:
        """Of several nodes, each expunges the images that the ring gives it."""
        self._peers = peers
        self._database = database
        self._clock = clock
        self._configuration = configuration
        self._deletion = deletion
        self._supervisor = supervisor
        self._tasks = Tasks()
        self._rounds: asyncio.Task[None] | None = None
        self._interval = 0

    def start(self) -> None:
        """Start the rounds. A change of the interval restarts them."""
        self._follow_interval()
        self._configuration.listen(self._follow_interval)

    async def close(self) -> None:
        """End the rounds."""
        await self._tasks.close()

    def _follow_interval(self) -> None:
        interval = self._configuration.get(INTERVAL)
        if interval == self._interval:
            return
        if self._rounds is not None:
            self._rounds.cancel()
        self._interval = interval
        self._rounds = self._supervisor.keep(self._tasks, "expunge of deleted images", self._wait, self._expunge)

    async def _wait(self) -> None:
        await self._clock.sleep(self._interval)

    async def _expunge(self, _: None) -> None:
        if self._configuration.get(POLICY) == NEVER:
            return
        limit = _before(self._clock.local(), self._configuration.get(PERIOD))
        columns = select(Ref.imageUuid, Ref.backupStorageUuid).order_by(Ref.id)
        due: dict[str, list[str]] = defaultdict(list)
        rows = await self._database.read(columns.where(Ref.status == DELETED, Ref.lastOpDate <= limit))
        for row in (row for row in rows if self._peers.is_ours(row.imageUuid)):
            due[row.imageUuid].append(row.backupStorageUuid)
        for image_uuid, storages in due.items():
            try:
                await self._deletion.expunge(image_uuid, storages)
            except BackupStorageError as error:  # it was expunged or recovered since the round began
                logger.info("image %s is not expunged any more: %s", image_uuid, error)
            else:
                await self._deletion.collect(image_uuid)


def _before(now: datetime, seconds: int) -> datetime:
    """Return the moment that many seconds ago; the beginning of time for more seconds than a date can hold."""
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min  # noqa: DTZ901 - dates are local times without a zone
