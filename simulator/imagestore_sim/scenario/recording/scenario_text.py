"""Writes a recording as a scenario, in which the storages go through the same statuses and capacities.

A ping that fails shows that a host is gone, and a reason, but not since when: so a fault of a kind that has this reason
begins one ping before, and a reconnect is made when one was made. Times may differ by a ping.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from imagestore_sim.backup_storage.events import ADDED
from imagestore_sim.backup_storage.global_config import AUTO_RECONNECT, PING_INTERVAL, PING_MODE
from imagestore_sim.backup_storage.image_events import ADDED as IMAGE_ADDED
from imagestore_sim.backup_storage.records import IMAGE_STORE_TYPE
from imagestore_sim.faults import FAULTS
from imagestore_sim.faults.base import Layer
from imagestore_sim.images.rows import DOWNLOADING
from imagestore_sim.probe import PingMode
from imagestore_sim.scenario.recording.image_story import ImageStory
from imagestore_sim.scenario.recording.recording import Recording
from imagestore_sim.scenario.recording.storage_story import StorageStory, reason_of
from imagestore_sim.yaml_text import write_compact_yaml


def scenario_text(recording: Recording) -> str:
    """Return a recording as the text of a scenario file."""
    stories = storage_stories(recording)
    images = image_stories(recording, stories)
    told = [*(step for story in stories for step in story.steps()), *(step for one in images for step in one.steps())]
    steps = sorted(told, key=lambda step: step[0])
    hosts: dict[str, dict[str, Any]] = {}
    for story in stories:
        hosts.setdefault(story.host, story.host_spec())
    ends = max(recording.ended - recording.began, steps[-1][0] if steps else 0) + 2 * recording.ping_interval
    content = {
        "title": f"What happened on {recording.source}",
        "description": "Recorded: faults begin one ping before they were noticed, reconnects are made when one was.",
        "hosts": hosts or {"nobody": {}},
        "storages": [story.record() for story in stories if not story.added],
        **({"imageSources": [image.source() for image in images]} if images else {}),
        "settings": _settings(recording),
        "timeline": [{"at": f"{at:.3f}s", **step} for at, step in steps] or [{"at": "0s", "note": "nothing happened"}],
        "ends": f"{ends:.0f}s",
    }
    return write_compact_yaml(content)


def _settings(recording: Recording) -> dict[str, Any]:
    """Return the options of the node: what pings ask only where it is not the default."""
    settings: dict[str, Any] = {PING_INTERVAL.name: f"{recording.ping_interval}s", AUTO_RECONNECT.name: False}
    mode = PingMode.AGENT if _met_agents(recording) else recording.ping_mode
    return settings if mode == PING_MODE.default else {**settings, PING_MODE.name: str(mode)}


def _met_agents(recording: Recording) -> bool:
    """Return whether pings met what only an agent shows, whatever they asked when the recording began or ended."""
    of_agents = {reason for kind in FAULTS.values() if kind.layer is Layer.AGENT for reason in kind.traits.stands_for}
    return any(reason_of(event) in of_agents for event in recording.events)


def storage_stories(recording: Recording) -> list[StorageStory]:
    """Return a story for each storage that was there when the recording began, then for each that was added."""
    added = [
        one["content"] | {"uuid": one["resourceUuid"]}
        for one in recording.events
        if one["path"] == ADDED and one["content"]["type"] == IMAGE_STORE_TYPE
    ]
    later = {one["uuid"] for one in added}
    first = [one for one in recording.storages if one["uuid"] not in later]
    stories: list[StorageStory] = []
    for number, storage in enumerate((*first, *added)):
        name = scenario_name(str(storage["name"]), {one.name for one in stories})
        known = storage["hostname"] in {one.host for one in stories}
        before = sum(
            image["actualSize"]
            for image in images_before(recording)
            if any(ref["backupStorageUuid"] == storage["uuid"] for ref in image["backupStorageRefs"])
        )
        story = StorageStory(recording, storage, name, number >= len(first), known, before)
        stories.append(story)
    return stories


def images_before(recording: Recording) -> list[Mapping[str, Any]]:
    """Return the images that were whole when the recording began, and to which something happened."""
    touched = {one["resourceUuid"] for one in recording.events}
    touched |= {one["content"].get("copyOf") for one in recording.events if one["path"] == IMAGE_ADDED}
    return [one for one in recording.images if one["uuid"] in touched and one["status"] != DOWNLOADING]


def image_stories(recording: Recording, storages: Sequence[StorageStory]) -> list[ImageStory]:
    """Return a story for each image that was there and changed, then for each that was added."""
    taken = {story.name for story in storages}
    uuids = {str(story.storage["uuid"]): story.name for story in storages}
    there = {str(one["uuid"]): one for one in images_before(recording)}
    added = {str(one["resourceUuid"]): one["content"] for one in recording.events if one["path"] == IMAGE_ADDED}
    names: dict[str, str] = {}
    for uuid, image in {**there, **added}.items():
        names[uuid] = scenario_name(str(image["name"]), {*taken, *names.values()})
    return [ImageStory(recording, uuid, name, uuids, names, there.get(uuid)) for uuid, name in names.items()]


def scenario_name(text: str, taken: Collection[str]) -> str:
    """Return a name for a storage that a step can refer to, unlike those that are taken."""
    name = plain = re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-") or "storage"
    number = 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name
