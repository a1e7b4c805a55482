"""Time: everything that waits or reads the time takes it from a clock, so that time can be real or virtual.

Timers that libraries set on the event loop (timeouts of aiohttp, keep-alive of connections) stay with the machine's
time, whatever the clock does: they guard against the real world.
"""

from imagestore_sim.clock.base import (
    FASTEST,
    LATEST,
    NEVER,
    SLOWEST,
    START,
    AdjustableClock,
    Clock,
    check_step,
    is_adjustable,
)
from imagestore_sim.clock.real import RealClock
from imagestore_sim.clock.spread import Spread
from imagestore_sim.clock.timers import Timer, TimerClock, wake

__all__ = [
    "FASTEST",
    "LATEST",
    "NEVER",
    "SLOWEST",
    "START",
    "AdjustableClock",
    "Clock",
    "RealClock",
    "Spread",
    "Timer",
    "TimerClock",
    "check_step",
    "is_adjustable",
    "wake",
]
