"""Work that is under way in real time: a clock must not jump past it."""

from imagestore_sim.in_flight.activity import (
    Activity,
    activity,
    closed,
    counted,
    moved,
    opened,
    opened_socket,
    under_way,
)

__all__ = ["Activity", "activity", "closed", "counted", "moved", "opened", "opened_socket", "under_way"]
