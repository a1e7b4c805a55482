"""What faults of the management plane do to a node: end sessions, judge dates, start the node again."""

from __future__ import annotations

from dataclasses import dataclass

from imagestore_sim.node.http import HttpServer
from imagestore_sim.node.parts import Parts
from imagestore_sim.node.records import RecordChanges
from imagestore_sim.web_server import Connection


@dataclass(frozen=True, slots=True)
class FaultActions:
    """Acts on a node that has its records (`rest.node_faults.NodeActions`)."""

    parts: Parts
    changes: RecordChanges
    http: HttpServer

    @property
    def uuid(self) -> str:
        """Return the uuid of the node."""
        return self.parts.node_record.uuid

    async def end_session(self, session_uuid: str) -> None:
        """End a session, if it exists. Raise StoreUnavailable."""
        await self.parts.sessions.log_out(session_uuid)

    async def end_all_sessions(self) -> None:
        """End every session. Raise StoreUnavailable."""
        await self.parts.sessions.end_all()
        await self.parts.sessions.recall()

    def refuses_date(self, date: str, skew: float) -> bool:
        """Return whether the date of a signed request is wrong for a clock that is `skew` seconds ahead."""
        return self.parts.rest.refuses_date(date, skew)

    async def restart(self, but: Connection) -> None:
        """Leave the node as a restart leaves it, and reset the connections of ZStack's API, but for one."""
        self.http.reset_connections(but)
        await self.changes.restart()
