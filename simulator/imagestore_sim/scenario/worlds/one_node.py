"""What all worlds answer alike that have one management node."""

from __future__ import annotations


class OneNode:
    """Names no node: there is one."""

    def node_to_ask(self, wanted: str | None = None) -> str:
        """Return ''."""
        return ""

    def node_at(self, url: str) -> str:
        """Return ''."""
        return ""
