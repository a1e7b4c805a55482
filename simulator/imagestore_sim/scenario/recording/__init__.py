"""Writes what happened on a node as a scenario."""
