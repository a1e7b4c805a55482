"""The pages of a node: the console at `/`, and the API explorer at `/docs`."""

from imagestore_sim.console.pages import pages

__all__ = ["pages"]
