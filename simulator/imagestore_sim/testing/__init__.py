"""The testing kit: what a test of a ZStack client needs. The pytest plugin's fixtures are in `plugin`."""

from __future__ import annotations

from imagestore_sim.testing.client import Answer, CallFailed, Client

__all__ = ["Answer", "CallFailed", "Client"]
