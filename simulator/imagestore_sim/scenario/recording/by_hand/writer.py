"""Writes the story of what was done by hand, and plays it to see that it holds.

The steps come in the order and at the distances in which they were taken. Where a status was seen between two of them,
the second one comes no sooner than a ping can have noticed the first.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imagestore_sim.backup_storage.events import ADDED, DELETED, STATUS_CHANGED
from imagestore_sim.backup_storage.global_config import PING_INTERVAL, PING_MAX_FAILURE, PING_SLEEP_AFTER_FAILURE
from imagestore_sim.backup_storage.image_events import REMOVED
from imagestore_sim.database import DatabaseError
from imagestore_sim.lab_api.story import HostFacts, Story, StoryCheck, StoryProblem, WrittenStory
from imagestore_sim.scenario.format.options import option_text
from imagestore_sim.scenario.format.reader import ScenarioError, parse_scenario
from imagestore_sim.scenario.recording.by_hand.actions import Action, host_actions, merged, node_actions, node_windows
from imagestore_sim.scenario.recording.by_hand.calls import CallSteps
from imagestore_sim.scenario.recording.by_hand.expected import Expected
from imagestore_sim.scenario.recording.by_hand.records import StoryRecords, first_fault, read_records
from imagestore_sim.scenario.recording.image_story import ImageStory
from imagestore_sim.scenario.recording.recording import Recording
from imagestore_sim.scenario.recording.scenario_text import (
    image_stories,
    scenario_name,
    scenario_text,
    storage_stories,
)
from imagestore_sim.scenario.recording.storage_story import StorageStory
from imagestore_sim.temporary_folders import TemporaryFolder
from imagestore_sim.units import duration_text
from imagestore_sim.yaml_text import write_compact_yaml

BEFORE = 1.0
"""Seconds before the first thing that was done, from which on a story begins by itself."""
LONGEST_CHECK = 60.0
"""Seconds that a check may take, by the machine's clock."""
LONGEST_LOGIN = 30.0
"""Seconds after its interval within which a ping has failed, a connect has been tried, and the next has succeeded."""
FEW = 8
"""Storages that are all told of, though nothing may have happened to some."""
MOST_TEXT = 20_000
"""Bytes of what a check has printed that are kept."""


async def write_story(story: Story) -> WrittenStory:
    """Return the scenario of a story. Raise StoryProblem."""
    jobs = [one.entry.job for one in story.calls if one.entry.job is not None]
    try:
        began = story.began if story.began is not None else await _first(story)
        if began >= story.ended:
            raise StoryProblem("the story would end before it begins")
        records = await read_records(story.database, began, story.ended, jobs)
    except DatabaseError as error:
        raise StoryProblem(str(error)) from None
    if not story.is_simulated:
        return await asyncio.to_thread(_write_recording, story, records.recording)
    return await asyncio.to_thread(_write, story, began, records)


async def check_story(text: str) -> StoryCheck:
    """Play a scenario in a process of its own. Raise StoryProblem when that takes too long."""
    began = time.monotonic()  # real: how long the user waits
    with TemporaryFolder() as folder:
        file = Path(folder) / "story.yaml"
        await asyncio.to_thread(file.write_text, text, encoding="utf-8")
        command = (sys.executable, "-m", "imagestore_sim", "replay", str(file))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        try:
            async with asyncio.timeout(LONGEST_CHECK):  # real: the user waits
                output, _ = await process.communicate()
        except TimeoutError:
            raise StoryProblem(f"the scenario was still being played after {LONGEST_CHECK:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    shown = output[:MOST_TEXT].decode(errors="replace").replace(f"{folder}/", "")
    return StoryCheck(process.returncode == 0, round(time.monotonic() - began, 1), shown)  # real: see above


async def _first(story: Story) -> float:
    """Return a moment before the first thing that was done, or shortly before the end. Raise DatabaseError."""
    times = [one.began for one in story.windows] + [one.time for one in story.calls]
    fault = await first_fault(story.database)
    return min([*times, *([] if fault is None else [fault])], default=story.ended - BEFORE) - BEFORE


def _write(story: Story, began: float, records: StoryRecords) -> WrittenStory:
    recording = records.recording
    recording.began, recording.ended = began, story.ended
    left_out: list[str] = []
    told = _Told(story, recording, records, left_out)
    timeline = told.timeline()
    content = told.content(timeline)
    text = _header(story, began) + write_compact_yaml(content)
    try:
        parse_scenario(text)
    except ScenarioError as error:
        raise StoryProblem(f"what was done cannot be told as a scenario: {error}") from None
    expectations = sum(1 for one in timeline if "eventually" in one)
    return WrittenStory(
        text, began, story.ended, len(timeline) - expectations, expectations, list(dict.fromkeys(left_out))
    )


def _write_recording(story: Story, recording: Recording) -> WrittenStory:
    """Return what `imagestore-sim record` writes of a node: what happened to real hosts is inferred."""
    text = scenario_text(recording)
    timeline = parse_scenario(text).timeline
    expectations = sum(1 for one in timeline if one.expects)
    left_out = ["what was done to the hosts, which are real: faults are inferred from what pings met"]
    return WrittenStory(text, recording.began, story.ended, len(timeline) - expectations, expectations, left_out)


def _header(story: Story, began: float) -> str:
    return (
        f"# What was done on {story.source} from {_date(began)} to {_date(story.ended)} UTC.\n"
        "# Passwords are placeholders. Play it with: imagestore-sim replay FILE\n"
    )


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


class _Told:
    """The parts of a scenario."""

    def __init__(
        self,
        story: Story,
        recording: Recording,
        records: StoryRecords,
        left_out: list[str],
    ) -> None:
        self._story = story
        self._recording = recording
        self._records = records
        self._windows = [one for one in story.windows if one.ended is None or one.ended >= recording.began]
        self._calls = [one for one in story.calls if recording.began <= one.time <= story.ended]
        self._left_out = left_out
        self._storages = self._chosen(storage_stories(recording))
        self._images = image_stories(_without_cascades(recording), self._storages)
        names = {str(one.storage["uuid"]): one.name for one in self._storages}
        names |= {one.uuid: one.name for one in self._images}
        self._zones: dict[str, str] = {}
        made = {records.jobs[job].resource for one in self._calls if (job := one.entry.job) in records.jobs and job}
        for uuid, name in records.zones.items():
            if uuid in made:
                continue
            self._zones[uuid] = scenario_name(name, {*names.values(), *self._zones.values()})
        added = {
            str(one.get("correlation")): str(one["resourceUuid"]) for one in recording.events if one["path"] == ADDED
        }
        self._steps = CallSteps(records, names | self._zones, added, node_windows(recording.events), left_out)

    def _chosen(self, stories: Sequence[StorageStory]) -> list[StorageStory]:
        """Return the storages that take part: of a big fleet, those to which something happened."""
        if len(stories) <= FEW:
            return list(stories)
        hosts = {one.host.lower() for one in self._windows}
        said = " ".join(f"{one.entry.path} {one.entry.body}" for one in self._calls)
        moved = {
            one["resourceUuid"] for one in self._recording.events if one["path"] in (STATUS_CHANGED, ADDED, DELETED)
        }
        moved |= {uuid for one in self._recording.events for uuid in one["content"].get("backupStorageUuids", ())}
        chosen = [
            one
            for one in stories
            if one.host.lower() in hosts or one.storage["uuid"] in moved or str(one.storage["uuid"]) in said
        ]
        return chosen or list(stories[:FEW])

    # The timeline

    def timeline(self) -> list[dict[str, Any]]:
        """Return the steps with their times."""
        began, ended = self._recording.began, self._story.ended
        actions = [*host_actions(self._windows, began, ended), *node_actions(self._recording.events, self._left_out)]
        actions += self._steps.actions(self._calls)
        actions += [Action(at, step, is_call=True) for at, step in self._image_steps()]
        ordered = merged(sorted(actions, key=lambda one: one.time))
        expected = Expected(self._storages, self._windows, self._recording.events, began, self._within())
        told = [*self._logins(), *_timed(ordered, ended, expected)]
        return [{"at": duration_text(at), **step} for at, step in told] or [{"at": "0s", "note": "nothing was done"}]

    def _logins(self) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield a first call of each client that meets faults: it logs in before there are any."""
        for who, account in self._steps.clients.items():
            named = {**({} if who == "client" else {"who": who}), **({"account": account} if account else {})}
            yield 0.0, {"client": {"method": "GET", "path": "/zones?limit=1", **named}}

    def _image_steps(self) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield the steps of images; those that were there are added a moment before the story."""
        began = self._recording.began
        for image in self._images:
            failed = self._add_failed(image)
            for at, step in image.steps():
                content = next(iter(step.values()))
                if failed and ("add_image" in step or "sync_image" in step):
                    content.setdefault("error", ["SYS.1002", "SYS.1006"])
                is_before = image.before is not None and began + at < self._first_event(image)
                yield (began - 2 * BEFORE + at if is_before else began + at), step

    def _first_event(self, image: ImageStory) -> float:
        return min((one["time"] for one in image.events()), default=self._story.ended)

    def _add_failed(self, image: ImageStory) -> bool:
        added = next((one for one in image.events() if one["path"] == "/image/added"), None)
        end = None if added is None else self._records.jobs.get(str(added.get("correlation")))
        return end is not None and end.error is not None

    def _within(self) -> float:
        """Return the seconds within which the node has noticed what was done, and has reconnected."""
        options = self._records.options

        def value(name: str, default: str) -> float:
            return float(options.get(name, default))

        interval = max(value(PING_INTERVAL.name, PING_INTERVAL.default), self._recording.ping_interval)
        interval = max(interval, self._story.ping_interval or 0)
        tries = value(PING_MAX_FAILURE.name, PING_MAX_FAILURE.default)
        pause = value(PING_SLEEP_AFTER_FAILURE.name, PING_SLEEP_AFTER_FAILURE.default)
        return 2 * interval + max(0.0, tries - 1) * (pause + LONGEST_LOGIN / 2) + LONGEST_LOGIN

    # The rest of the file

    def content(self, timeline: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the file, with its timeline."""
        settings = self._settings()
        sources = [self._source(one) for one in self._images]
        accounts: dict[str, dict[str, Any]] = {name: {} for name in sorted(self._steps.accounts)}
        hosts = self._hosts(timeline)
        return {
            "title": self._story.title or "What was done by hand",
            "description": "Saved from a lab: the steps in their order, and what was seen after them.",
            "hosts": hosts or {"nobody": {}},
            "zones": list(self._zones.values()) or ["zone-1"],
            "storages": [_without_defaults(one.record()) for one in self._storages if not one.added],
            **({"node": dict(self._story.options)} if self._story.options else {}),
            **({"imageSources": sources} if sources else {}),
            **({"accounts": accounts} if accounts else {}),
            **({"settings": settings} if settings else {}),
            "timeline": list(timeline),
        }

    def _hosts(self, timeline: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the hosts of the storages, and those that steps name."""
        found: dict[str, dict[str, Any]] = {}
        for one in self._storages:
            facts = self._facts(one.host)
            found.setdefault(one.host, _without_defaults(_with_facts(one.host_spec(), facts)))
        text = str(timeline)
        for name, facts in self._story.hosts.items():
            if name not in found and f"'{name}'" in text:
                spec = {"size": facts.size, "used": facts.used, "port": facts.port}
                found[name] = _without_defaults(_with_facts(spec, facts))
        return found

    def _facts(self, name: str) -> HostFacts | None:
        return next((one for one in self._story.hosts.values() if one.name.lower() == name.lower()), None)

    def _source(self, image: ImageStory) -> dict[str, Any]:
        """Return where an image comes from; a download that a fault made fail is left to that fault."""
        source = image.source()
        if "error" in source and self._is_broken(image):
            return {"url": source["url"]}
        return source

    def _is_broken(self, image: ImageStory) -> bool:
        """Return whether a host of an image had a fault all the time while it was to come."""
        times = [one["time"] for one in image.events()]
        to = {uuid for one in image.events() for uuid in one["content"].get("backupStorageUuids", ())}
        hosts = {one.host.lower() for one in self._storages if one.storage["uuid"] in to}
        return any(
            one.host.lower() in hosts and one.began <= times[0] and (one.ended is None or one.ended > times[-1])
            for one in self._windows
        )

    def _settings(self) -> dict[str, Any]:
        """Return the options that differ from the defaults, as they were in the beginning as far as that is known."""
        changed = " ".join(one.entry.path for one in self._calls if "GlobalConfig" in one.entry.api)
        settings: dict[str, Any] = {}
        for name, value in self._records.options.items():
            if f"/{name}/" not in changed and _is_option(name, value):
                settings[name] = int(value) if value.isdigit() else value
        interval = self._story.ping_interval
        if PING_INTERVAL.name not in settings and interval is not None:
            settings[PING_INTERVAL.name] = interval
        return settings


def _is_option(name: str, value: str) -> bool:
    try:
        option_text(name, value)
    except ValueError:
        return False
    return True


def _without_defaults(record: dict[str, Any]) -> dict[str, Any]:
    """Return a host or a storage without the user and the port that all have."""
    return {name: value for name, value in record.items() if (name, value) not in (("username", "root"), ("port", 22))}


def _with_facts(spec: dict[str, Any], facts: HostFacts | None) -> dict[str, Any]:
    """Return a host with what its steps do not tell."""
    if facts is None:
        return spec
    if facts.reserved and facts.reserved <= spec["used"]:
        spec = {**spec, "used": spec["used"] - facts.reserved, "reserved": facts.reserved}
    given = {
        "mount": facts.mount if facts.mount != "/" else None,
        "sftp": facts.sftp or False,
        "statvfs": facts.statvfs,
    }
    plain = {"mount": None, "sftp": True, "statvfs": True}
    return {**spec, **{name: value for name, value in given.items() if value != plain[name]}}


def _without_cascades(recording: Recording) -> Recording:
    """Return a recording without the removals of images that came with the deletion of their storages."""
    causes = {one.get("correlation") for one in recording.events if one["path"] == DELETED}
    events = [one for one in recording.events if one["path"] != REMOVED or one.get("correlation") not in causes]
    return Recording(recording.source, recording.began, recording.ended, recording.ping_interval, recording.storages,
                     events, recording.ping_mode, recording.images)  # fmt: skip


def _timed(actions: Sequence[Action], ended: float, expected: Expected) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yield the steps at the distances in which they were taken, with what is expected between them."""
    now = 0.0
    for number, one in enumerate(actions):
        is_last = number + 1 == len(actions)
        until = ended if is_last else actions[number + 1].time
        yield round(now, 3), dict(one.step)
        expected.changed(one.hosts)
        settled = is_last or actions[number + 1].is_call
        found = list(expected.between(one.time, until, settled=settled))
        yield from ((round(now, 3), each) for each in found)
        now += max(until - one.time, expected.within if found else 0.0)
