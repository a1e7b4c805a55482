"""Failure scenarios: stories of what goes wrong, played on a virtual clock and checked (docs/scenarios.md)."""
