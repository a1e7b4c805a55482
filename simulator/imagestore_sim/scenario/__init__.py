"""Failure scenarios: what goes wrong and what a client has to see, played on one clock (docs/scenarios.md)."""
