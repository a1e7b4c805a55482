"""Writes what was done on a lab by hand as a scenario: what the lab knows of its hosts, its faults and its clients."""

from imagestore_sim.scenario.recording.by_hand.writer import ScenarioWriter

__all__ = ["ScenarioWriter"]
