"""Plays a scenario: its runner, its actions, what it observes, its results."""
