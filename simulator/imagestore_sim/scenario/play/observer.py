"""Asks the node of a scenario and listens to its events; keeps what both show, and writes it into the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imagestore_sim.backup_storage import image_events
from imagestore_sim.backup_storage.events import CAPACITY_CHANGED, DELETED, STATUS_CHANGED, Event
from imagestore_sim.rest.node_faults import FAULT_HEALED
from imagestore_sim.scenario.format.api_steps import ADMIN, Uuids
from imagestore_sim.scenario.format.expectations import ASKED, Condition
from imagestore_sim.scenario.play.answers import error_code, evaluate_metric, evaluate_query, reason_of
from imagestore_sim.scenario.play.event_log import EventLog
from imagestore_sim.scenario.play.image_answers import evaluate_images
from imagestore_sim.scenario.play.observed_state import Evaluation, Inventory, ObservedState
from imagestore_sim.scenario.play.results import Lane, Request, Result
from imagestore_sim.scenario.play.story_time import StoryTime
from imagestore_sim.scenario.play.world import NO_ANSWER, ClusterWorld, World
from imagestore_sim.testing.client import Answer

STORAGES = "/backup-storage"


class Observer:
    """Fills the lanes, the requests and the log of a result, and the observed state that expectations look at."""

    def __init__(
        self, world: World, time: StoryTime, log: EventLog, result: Result, on_healed: Callable[[str], None]
    ) -> None:
        """Expect `result` to hold a lane for each storage of the scenario.

        `on_healed` is called with the id of each fault of the management plane that is healed.
        """
        self.uuids = Uuids(world.storages, world.zones, world.images, world.long_jobs)
        self.state = ObservedState(self.uuids)
        self._world = world
        self._time = time
        self._log = log
        self._result = result
        self._on_healed = on_healed
        self._lanes = {lane.uuid: lane for lane in result.lanes}
        self._closed = False

    async def begin(self) -> None:
        """Look at all storages for the first time, in a world that has been entered."""
        # The world may have taken a storage that was on the node before for one of the scenario's.
        self._lanes = {self._world.storages[lane.name]: lane for lane in self._result.lanes}
        if isinstance(self._world, ClusterWorld):
            self.state.follow_owners(self._world)
        await self.refresh()

    def close(self) -> None:
        """Ignore all further events."""
        self._closed = True

    # Asking

    async def request(
        self, method: str, path: str, body: Any = None, *, account: str = ADMIN, node: str | None = None
    ) -> Answer:
        """Call the API as the world does, and write down the call. Raise one of NO_ANSWER."""
        began, asked = self._time.now, self._world.node_to_ask(node)
        try:
            answer = await self._world.request(method, path, body, account=account, node=asked)
        except NO_ANSWER as error:
            self._write_down(Request(began, method, path, 0, reason_of(error), asked))
            raise
        self._write_down(Request(began, method, path, answer.status, error_code(answer), asked))
        return answer

    def note_client(self, who: str, request: Request) -> None:
        """Write down a request of a client under test."""
        self._write_down(request, "client", who=who)

    def _write_down(self, request: Request, kind: str = "request", **more: str) -> None:
        self._result.requests.append(request)
        entry = {**more, "method": request.method, "path": request.path, "status": request.status}
        self._log.add(kind, **entry, error=request.error, **_of(request.node))

    async def refresh(self, *, strictly: bool = False) -> None:
        """Query all storages. Without an answer, keep what is known, or raise one of NO_ANSWER if `strictly`."""
        try:
            answer = await self._world.request("GET", STORAGES)
        except NO_ANSWER:
            if strictly:
                raise
            return
        everything: list[Inventory] = answer.body.get("inventories", [])
        inventories = [one for one in everything if self._world.concerns(one["uuid"])]
        self.state.replace(inventories)
        for one in inventories:
            lane = self._lanes.get(one["uuid"])
            if lane is None:
                lane = self._lanes[one["uuid"]] = Lane(one["name"], one.get("hostname", ""), uuid=one["uuid"])
                self._result.lanes.append(lane)
            lane.add(self._time.now, one["status"], (one["totalCapacity"], one["availableCapacity"]))
        for uuid in set(self._lanes) - {one["uuid"] for one in inventories}:
            self._lanes[uuid].add(self._time.now, "", None)

    async def evaluate(self, condition: Condition, since: int = 0) -> Evaluation:
        """Evaluate a condition now: ask the node if need be; of events, those after the first `since` count."""
        return await self.ask(condition) if condition.subject in ASKED else self.state.evaluate(condition, since)

    async def ask(self, condition: Condition) -> Evaluation:
        """Evaluate a condition about images, about the answer to a query, or about a metric."""
        try:
            if condition.metric is not None:
                return evaluate_metric(condition, await self._world.page("/metrics", condition.node))
            if condition.image is not None:
                return await evaluate_images(condition, self._world)
            query = self.uuids.replace_in(condition.query or "")
            return evaluate_query(condition, await self.request("GET", query, node=condition.node))
        except NO_ANSWER as error:
            return Evaluation(False, False, f"no answer: {reason_of(error)}")

    # Listening

    def on_event(self, event: Event, node: str = "") -> None:
        """Write down an event, and which of several nodes has told it; apply it to the observed state."""
        if self._closed:
            return
        self._log.add("event", **event.to_json(), **_of(node))
        if event.path == FAULT_HEALED:
            self._on_healed(event.resource_uuid)
        lane = self._lanes.get(event.resource_uuid)
        content = event.content
        if event.path == image_events.ADDED and content["name"] in self.uuids.images:
            self.uuids.images[str(content["name"])] = event.resource_uuid  # of a copy, the node chooses it
        if lane is not None and event.path == STATUS_CHANGED:
            lane.add(self._time.now, str(content["newStatus"]), None)
        elif lane is not None and event.path == DELETED:
            lane.add(self._time.now, "", None)
        elif lane is not None and event.path == CAPACITY_CHANGED:
            capacity = (content["totalCapacity"], content["availableCapacity"])
            lane.add(self._time.now, None, capacity)  # type: ignore[arg-type]
        self.state.apply(event)


def _of(node: str) -> dict[str, str]:
    """Return what a line of the log says of the node that it is about: nothing where there is one node."""
    return {"node": node} if node else {}
