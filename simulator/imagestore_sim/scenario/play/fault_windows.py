"""The windows of time in which something was wrong with a host or the node, for the report."""

from __future__ import annotations

from imagestore_sim.faults import AppliedFault, Effect, NodeFault
from imagestore_sim.scenario.play.results import Window
from imagestore_sim.scenario.play.story_time import StoryTime

NODE = "node"
"""The management node, in place of a host's name."""


class FaultWindows:
    """Opens and closes windows in the `windows` of a result."""

    def __init__(self, windows: list[Window], time: StoryTime) -> None:
        self._windows = windows
        self._time = time
        self._of_faults: list[tuple[AppliedFault, Window]] = []
        self._of_stops: dict[str, Window] = {}
        self._of_node: dict[str, tuple[NodeFault, Window]] = {}
        self._of_nodes: dict[tuple[str, str], Window] = {}

    def open(self, host: str, text: str) -> Window:
        """Open a window that begins now."""
        window = Window(host, text, self._time.now)
        self._windows.append(window)
        return window

    def open_fault(self, host: str, text: str, applied: AppliedFault) -> None:
        """Open the window of a fault that was put on a host."""
        window = self.open(host, text)
        fault = applied.fault
        effect = fault.traits.effect
        if not applied.active or effect is Effect.INSTANT:
            window.ended = window.began
        elif effect is Effect.NEW_STATE and fault.lasts is None:
            window.ended = window.began + getattr(fault, "over", 0.0)
        self._of_faults.append((applied, window))

    def open_stop(self, host: str) -> None:
        """Open the window of a host that was shut down."""
        self._of_stops[host] = self.open(host, "stopped")

    def close_stop(self, host: str) -> None:
        """Close the window of a host that was started, if it had been shut down."""
        if (window := self._of_stops.pop(host, None)) is not None:
            window.ended = self._time.now

    def open_node(self, node: str, what: str, text: str) -> None:
        """Open a window of one of several nodes, unless there is one for that: `what` it is closed by."""
        if (node, what) not in self._of_nodes:
            self._of_nodes[node, what] = self.open(NODE, f"{node} {text}")

    def close_node(self, node: str, what: str | None = None) -> None:
        """Close the window of one of several nodes; without `what`, all of it: it has begun a new life."""
        for key in [one for one in self._of_nodes if one[0] == node and what in (None, one[1])]:
            self._of_nodes.pop(key).ended = self._time.now

    def open_node_fault(self, identity: str, text: str, fault: NodeFault) -> None:
        """Open the window of a fault of the management plane."""
        self._of_node[identity] = fault, self.open(NODE, text)

    def close_node_fault(self, identity: str) -> None:
        """Close the window of a fault of the management plane that is healed, if it was set by the scenario."""
        _, window = self._of_node.pop(identity, (None, None))
        if window is not None:
            window.ended = self._time.now

    def node_faults(self) -> list[tuple[str, NodeFault]]:
        """Return the faults of the management plane that are set, by id, the latest first."""
        return [(identity, fault) for identity, (fault, _) in reversed(self._of_node.items())]

    def close_healed(self) -> None:
        """Close the windows of the faults that are healed: now, or when they healed by themselves."""
        for applied, window in self._of_faults:
            if not applied.active:
                self._close_fault(applied, window)

    def close_all(self) -> None:
        """Close every window, as the story has ended."""
        for applied, window in self._of_faults:
            self._close_fault(applied, window)
        for window in self._windows:
            window.ended = self._time.now if window.ended is None else window.ended

    def _close_fault(self, applied: AppliedFault, window: Window) -> None:
        if window.ended is None:
            healed_itself = [] if applied.expires_at is None else [self._time.at(applied.expires_at)]
            window.ended = min([self._time.now, *healed_itself])
