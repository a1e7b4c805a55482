"""What happened to one image during a recording, as the steps of a scenario."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagestore_sim.backup_storage.image_events import ADDED, BITS_REMOVED, DOWNLOAD_FAILED, REMOVED, STATUS_CHANGED
from imagestore_sim.bootstrap import stable_uuid
from imagestore_sim.images.bits import install_path
from imagestore_sim.images.rows import DELETED, DOWNLOADING, READY
from imagestore_sim.scenario.recording.recording import Event, Recording
from imagestore_sim.scenario.recording.storage_steps import MOMENT, Step

LONGEST_ADD = 1.0
"""Seconds within which an image is there that is added in the beginning."""
OF_BITS = (ADDED, STATUS_CHANGED, REMOVED, BITS_REMOVED)


@dataclass(frozen=True, slots=True)
class ImageStory:
    """One image of a recording."""

    recording: Recording
    uuid: str
    name: str
    """Its name in the scenario."""
    storages: Mapping[str, str]
    """The names of the scenario's storages, by their uuids."""
    images: Mapping[str, str]
    """The names of the scenario's images, by their uuids."""
    before: Mapping[str, Any] | None = None
    """Its inventory, if it was there when the recording began."""

    def events(self) -> list[Event]:
        """Return what happened to it, in order."""
        return [one for one in self.recording.events if one["resourceUuid"] == self.uuid]

    def source(self) -> dict[str, Any]:
        """Return what it weighs, and how fast it came, as an image source of the scenario."""
        came = self._came()
        if (failure := self._failure()) is not None:
            return {"url": self._glob(), "error": failure}
        weight = self.before if self.before is not None else came
        if weight is None:
            return {"url": self._glob()}
        rate = max(1, round(weight["actualSize"] / (self._seconds() or MOMENT)))
        return {"url": self._glob(), "size": weight["size"], "actualSize": weight["actualSize"], "rate": rate}

    def _glob(self) -> str:
        """Return what matches the url of this image alone: of a copy, the install path of its bits."""
        original = self.images.get(str(self._added().get("copyOf")))
        if original is not None:
            return install_path(stable_uuid("image", original))
        return glob.escape(self._url())

    def _url(self) -> str:
        return f"http://images/{self.name}"

    def _added(self) -> Mapping[str, Any]:
        """Return the content of the event of its add; nothing if it was there before."""
        return next((one["content"] for one in self.events() if one["path"] == ADDED), {})

    def _came(self) -> Mapping[str, Any] | None:
        """Return the content of the event with which its bits were there; None if they never were."""
        for one in self.events():
            content: Mapping[str, Any] = one["content"]
            if one["path"] == STATUS_CHANGED and content["oldStatus"] == DOWNLOADING and content["newStatus"] == READY:
                return content
            if one["path"] == ADDED and content["status"] == READY:
                return content
        return None

    def _seconds(self) -> float:
        """Return how long its bits took to come."""
        ready = next((one["time"] for one in self.events() if one["path"] == STATUS_CHANGED), None)
        added = next((one["time"] for one in self.events() if one["path"] == ADDED), None)
        return 0.0 if ready is None or added is None else float(ready - added)

    def _failure(self) -> str | None:
        """Return why its bits did not come; None if they came, or are still coming."""
        details = [one["content"]["details"] for one in self.events() if one["path"] == DOWNLOAD_FAILED]
        if details:
            return str(details[0]).rpartition("because: ")[2]
        gone = any(one["path"] == REMOVED for one in self.events())
        return "canceled" if gone and self.before is None and self._came() is None else None

    # Steps

    def steps(self) -> Iterator[Step]:
        """Yield the steps in their order."""
        if self.before is not None:
            yield 0.0, {"add_image": self._add(self.before)}
            if self.before["status"] == DELETED:
                first = self.events()[0]["time"] - self.recording.began if self.events() else LONGEST_ADD
                yield min(LONGEST_ADD, first / 2), {"delete_image": {"image": self.name}}
        deleted = self.before is not None and self.before["status"] == DELETED
        for event in self.events():
            at, content = max(MOMENT, event["time"] - self.recording.began), event["content"]
            if event["path"] == ADDED:
                yield at, self._adding(content)
            elif event["path"] == STATUS_CHANGED and content["newStatus"] == DELETED:
                deleted = True
                yield at, {"delete_image": self._on(content)}
            elif event["path"] == STATUS_CHANGED and content["oldStatus"] == DELETED:
                deleted = False
                yield at, {"recover_image": self._on(content)}
            elif event["path"] == REMOVED and (self._came() is not None or self.before is not None):
                if not deleted:  # with `deletionPolicy` Direct
                    yield at, {"delete_image": self._on(content)}
                yield at, {"expunge_image": self._on(content)}

    def _adding(self, content: Mapping[str, Any]) -> dict[str, Any]:
        expected = {} if self._failure() is None else {"error": ["SYS.1002", "SYS.1006"]}
        original, source = (
            self.images.get(str(content.get("copyOf"))),
            self.storages.get(str(content.get("copiedFrom"))),
        )
        if original is None or source is None:
            return {"add_image": {**self._add(content), **expected}}
        [to] = self._names(content["backupStorageUuids"])
        return {"sync_image": {"image": original, "from": source, "to": to, "as": self.name, **expected}}

    def _add(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return an add of the image; `content` is that of an event, or an inventory."""
        refs = [one["backupStorageUuid"] for one in content.get("backupStorageRefs", ())]
        storages = self._names(content.get("backupStorageUuids", refs))
        given = {"image": self.name, "storage": storages, "url": self._url(), "format": content["format"]}
        return {**given, "mediaType": content["mediaType"]}

    def _on(self, content: Mapping[str, Any]) -> dict[str, Any]:
        return {"image": self.name, "storage": self._names(content["backupStorageUuids"])}

    def _names(self, uuids: Sequence[str]) -> list[str]:
        return sorted(self.storages[uuid] for uuid in uuids if uuid in self.storages)


@dataclass(slots=True)
class BitsOnDisk:
    """The bytes of images on the disk of one storage over the time of a recording."""

    recording: Recording
    storage: str
    """Its uuid."""

    def change(self, since: float, until: float) -> int | None:
        """Return by how many bytes those of images have grown between two times (epoch seconds).

        None if they were changing at one of the two: what was measured then is not known.
        """
        at = [self._at(moment) for moment in (since, until)]
        if None in at:
            return None
        return (at[1] or 0) - (at[0] or 0)

    def _at(self, moment: float) -> int | None:
        sizes: dict[str, int] = {}
        changing: set[str] = set()
        for event in self.recording.events:
            if event["time"] > moment:
                break
            if event["path"] in OF_BITS and self._concerns(event["content"]):
                self._follow(event, sizes, changing)
        return None if changing else sum(sizes.values())

    def _concerns(self, content: Mapping[str, Any]) -> bool:
        return self.storage in (*content.get("backupStorageUuids", ()), content.get("backupStorageUuid"))

    def _follow(self, event: Event, sizes: dict[str, int], changing: set[str]) -> None:
        uuid, content = str(event["resourceUuid"]), event["content"]
        if event["path"] == BITS_REMOVED:
            sizes[uuid] = 0 if uuid in sizes else -self._size_before(uuid)
            changing.discard(uuid)
        elif event["path"] == REMOVED or (event["path"] == ADDED and content["status"] == DOWNLOADING):
            changing.add(uuid)
        elif event["path"] == STATUS_CHANGED and content["oldStatus"] == DOWNLOADING:
            sizes[uuid] = content["actualSize"]
            changing.discard(uuid)

    def _size_before(self, uuid: str) -> int:
        """Return the bytes of an image that was there when the recording began; 0 for any other."""
        return next((int(one["actualSize"]) for one in self.recording.images if one["uuid"] == uuid), 0)

    @property
    def is_used(self) -> bool:
        """Whether anything happened to images on it."""
        return any(one["path"] in OF_BITS and self._concerns(one["content"]) for one in self.recording.events)
