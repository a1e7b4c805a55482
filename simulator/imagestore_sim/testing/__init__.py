"""The testing kit for ZStack clients: a small client, and the pytest plugin in `plugin`."""

from __future__ import annotations

from imagestore_sim.testing.client import Answer, CallFailed, Client

__all__ = ["Answer", "CallFailed", "Client"]
