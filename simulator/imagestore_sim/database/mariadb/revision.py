"""The revision that all nodes of a MariaDB share: a row for each node, raised by its own transactions only.

A row that all nodes raise would make each of them wait for the others, and Galera would undo what they do at the same
time. The sum of the rows changes with each transaction, whichever node has committed it.
"""

from __future__ import annotations

from uuid import uuid4

TABLE = "StoreRevisionVO"
CREATE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (node VARCHAR(32) CHARACTER SET ascii NOT NULL PRIMARY KEY, "
    "revision BIGINT NOT NULL, touched DATETIME(6) NOT NULL) ENGINE=InnoDB"
)
SUM = f"SELECT SUM(revision) FROM {TABLE}"  # noqa: S608 - a constant
_LEFT = "left"
"""The row of the nodes that have left."""


class OwnRevision:
    """The row of this node."""

    def __init__(self) -> None:
        self.number = 0
        """The revision in the row, after the last commit."""
        self._node = uuid4().hex  # real: it is never shown, and no run is to have that of another

    def set_to(self, number: int) -> str:
        """Return the statement that stores `number`, also if others have removed the row after a day of silence."""
        return (
            f"INSERT INTO {TABLE} VALUES ('{self._node}', {number}, UTC_TIMESTAMP(6)) "  # noqa: S608 - no values of users
            f"ON DUPLICATE KEY UPDATE revision = {number}, touched = UTC_TIMESTAMP(6)"
        )

    def stored(self) -> str:
        """Return the statement that reads the row, after a transaction that may still be at work on it."""
        return f"SELECT revision FROM {TABLE} WHERE node = '{self._node}' FOR UPDATE"  # noqa: S608 - see set_to

    def leave(self) -> tuple[str, ...]:
        """Return the statements that add the row to that of the nodes that have left: the sum stays."""
        return _added(f"node = '{self._node}'")


def add_silent() -> tuple[str, ...]:
    """Return the statements that do the same for nodes that have written nothing for a day."""
    return _added(f"node <> '{_LEFT}' AND touched < UTC_TIMESTAMP(6) - INTERVAL 1 DAY")


def _added(those: str) -> tuple[str, ...]:
    return (
        "START TRANSACTION",
        f"SELECT COALESCE(SUM(revision), 0) INTO @left FROM {TABLE} WHERE {those} FOR UPDATE",  # noqa: S608 - see set_to
        f"INSERT INTO {TABLE} VALUES ('{_LEFT}', @left, UTC_TIMESTAMP(6)) "  # noqa: S608 - see set_to
        "ON DUPLICATE KEY UPDATE revision = revision + @left",
        f"DELETE FROM {TABLE} WHERE {those}",  # noqa: S608 - see set_to
        "COMMIT",
    )
