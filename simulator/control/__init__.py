"""The lab's own API below `/lab/v1`: for tests and for people, not for ZStack's clients."""

from simulator.control.events import EventStream

__all__ = ["EventStream"]
