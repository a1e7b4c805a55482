"""Images on simulator storages that wait for an upload: they are given up, as ZStack's tracker of uploads does.

ZStack asks the storage every three seconds how far the upload is. A simulator storage knows no uploads, so that each of
these questions fails. On any other storage no image waits for an upload.
"""

from __future__ import annotations

import orjson
from sqlalchemy import select, update

from imagestore_sim.backup_storage.image_life import ImageLife
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.database.models import Image, LongJob
from imagestore_sim.database.zstack_global_config import integer
from imagestore_sim.images.rows import DOWNLOADING, UPLOAD
from imagestore_sim.tasks import Tasks

TOLERANCE = integer("image", "upload.failure.tolerance.count")
"""How many failed questions end an upload."""
EVERY_SECONDS = 3
EXPIRED = "upload session expired"


class Uploads:
    """Deletes images whose upload fails, each at its time, and fails the long jobs that add them."""

    def __init__(self, database: Database, clock: Clock, configuration: GlobalConfiguration, images: ImageLife) -> None:
        self._database = database
        self._clock = clock
        self._configuration = configuration
        self._images = images
        self._tasks = Tasks()

    async def open(self) -> None:
        """Wait for the uploads that an earlier run has left."""
        waiting = select(Image.uuid).where(Image.status == DOWNLOADING, Image.url.startswith(UPLOAD))
        for row in await self._database.read(waiting.order_by(Image.uuid)):
            self.expect(row.uuid)

    async def close(self) -> None:
        """Stop waiting. The next `open` waits again for the uploads that are left."""
        await self._tasks.close()

    def expect(self, image_uuid: str) -> None:
        """Wait for the upload of an image, and give it up in time."""
        self._tasks.begin(self._wait(image_uuid), f"upload of image {image_uuid}")

    async def _wait(self, image_uuid: str) -> None:
        failures = max(1, self._configuration.get(TOLERANCE))
        await self._clock.sleep((failures - 1) * EVERY_SECONDS)
        await self._give_up(image_uuid)

    async def _give_up(self, image_uuid: str) -> None:
        result = orjson.dumps({"code": "SYS.1006", "description": "An operation failed", "details": EXPIRED}).decode()
        now = self._clock.local()
        async with self._database.atomic():
            if await self._images.drop_upload(image_uuid, EXPIRED):
                async with self._database.transaction() as connection:
                    jobs = update(LongJob).where(LongJob.targetResourceUuid == image_uuid, LongJob.state == "Running")
                    values = {"state": "Failed", "jobResult": result, "executeTime": 1, "lastOpDate": now}
                    await connection.execute(jobs.values(**values))
