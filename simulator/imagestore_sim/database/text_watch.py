"""Notice changes of the texts by which records are found, whatever statement makes them."""

from __future__ import annotations

import sqlite3

from imagestore_sim.database.models import FOLDED_TEXTS

_FUNCTION = "imagestore_sim_text_changes"


class TextWatch:
    """Counts the transactions that have changed a column of FOLDED_TEXTS.

    A copy of such a column in memory is as new as the store if, before and after it was read, `version` was the same
    and `is_changing` was False. Triggers of the writer's connection set `is_changing`, in its thread and before the
    commit. The event loop settles that when the transaction has ended, before its caller goes on.
    """

    def __init__(self) -> None:
        self.version = 0
        self.is_changing = False
        """Whether a transaction that has not been settled has changed a text."""

    def install(self, connection: sqlite3.Connection) -> None:
        """Add the triggers to the connection that writes. They are temporary: the file does not hold them."""
        connection.create_function(_FUNCTION, 0, self._note)
        for table, column in FOLDED_TEXTS:
            for number, event in enumerate(("INSERT", "DELETE", f"UPDATE OF {column}, uuid")):
                connection.execute(
                    f"CREATE TEMP TRIGGER text_of_{table}_{number} AFTER {event} ON main.{table} "
                    f"BEGIN SELECT {_FUNCTION}(); END"
                )

    def settle(self) -> None:
        """Count the transaction that has ended, committed or not, if it has changed a text."""
        if self.is_changing:
            self.is_changing = False
            self.version += 1

    def _note(self) -> None:
        self.is_changing = True
