"""Plays a scenario: the runner, what steps do, how expectations are decided, what is observed, the result."""
