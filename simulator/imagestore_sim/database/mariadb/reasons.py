"""The reasons that a MariaDB gives when it fails, by their numbers, without SQL and without values."""

from __future__ import annotations

import re

DRIVER = "asyncmy"
_FULL = "the disk of the database server is full"
_LOST = "the connection to the database server is lost"
_UNREACHABLE = "the database server cannot be reached"
_REFUSED = "the database server refuses this user or password"
_DENIED = "the database server does not let this user do that, who needs GRANT ALL on the database"
CHANGED = "its tables are not those of this version"
_DAMAGED = "a table is damaged"
_BINARY_LOG = "the database server cannot write to its binary log"
_LIMITED = "this user has reached a limit of its account"
_READ_ONLY = "the database server is read-only"
_BUSY = "the database server accepts no more connections"
_STOPPING = "the database server is shutting down"
_LOCKED = "another connection has held a lock for too long"
_CONFLICT = "the change met a change of another connection"
_TOO_LARGE = "the statement is larger than the server's max_allowed_packet"
LOST_IN_USE = frozenset({0, 1053, 1077, 1080, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 2014, 2055, 4031})
"""Numbers of errors after which the connection is of no use; 0 is the driver's for a connection that is closed."""
OUT_OF_SYNC = 2014
_COMMIT_FAILED = 1180
UNSETTLED = frozenset({1047, _COMMIT_FAILED})
"""Errors of a COMMIT as Galera loses its cluster: the other servers may hold the change all the same."""
_NOT_COMMITTED = "the database server could not commit"
CONFLICTS = frozenset({1213, 1020, 1305})
"""Deadlock, which Galera reports a failed certification as, too; a record that has changed since it was read; and a
savepoint that is gone, since the server has undone the transaction for one of these."""
TOO_LONG = 1969
"""A statement that has reached `max_statement_time`."""
OUT_OF_RANGE = 1690
"""A result that is too large for its type."""
_NO_MEMORY = "the database server has no memory left"
_REFUSALS = frozenset({1045, 1130, 1698, 1820, 1862, 4151})
CHANGED_TABLES = frozenset({1046, 1051, 1054, 1146, 1932})
"""No database, or no such table or column: another program has changed it while nodes use it."""
_DAMAGED_TABLES = frozenset({1033, 1034, 1035, 1194, 1195, 1712, 1812, 1813, 1814})
_REASONS = {
    **dict.fromkeys(LOST_IN_USE, _LOST),
    **dict.fromkeys((2002, 2003, 2005), _UNREACHABLE),
    **dict.fromkeys(_REFUSALS, _REFUSED),
    **dict.fromkeys((1044, 1142, 1143, 1227), _DENIED),
    **dict.fromkeys(CHANGED_TABLES, CHANGED),
    **dict.fromkeys(_DAMAGED_TABLES, _DAMAGED),
    _COMMIT_FAILED: _NOT_COMMITTED,
    1226: _LIMITED,
    1665: _BINARY_LOG,
    **dict.fromkeys((1036, 1290, 1792, 1836, 1874, 1881), _READ_ONLY),
    **dict.fromkeys((1040, 1203), _BUSY),
    **dict.fromkeys((1021, 1114), _FULL),
    **dict.fromkeys(CONFLICTS, _CONFLICT),
    1047: "the database server is not part of its cluster now",
    1049: "there is no database of this name on the server",
    1053: _STOPPING,
    1077: _STOPPING,
    1129: "the database server has blocked this host after too many failed connections",
    1153: _TOO_LARGE,
    1205: _LOCKED,
    1317: "the statement was ended by the server",
    **dict.fromkeys((1037, 1038, 1041, 1206), _NO_MEMORY),
}
_EXPLAINED = _REFUSALS | CHANGED_TABLES | _DAMAGED_TABLES | {1044, 1142, 1143, _COMMIT_FAILED, 1226, 1227, 1665}
"""Errors whose text says more than the reason here: which table, right or limit it is."""
_FROM_THE_DISK = frozenset({*range(1, 37), 1004, 1016, 1017, 1023, 1024, 1026, 1030, 1878})
"""Errors of files, whose text ends with the number of the system's error."""
_QUOTED = re.compile(r"(entry|value:) '.*'(?= for)", re.DOTALL)
"""The value in the texts of a duplicate key and of a value that a column cannot hold."""
_NO_SPACE = re.compile(r"\b28\b|No space left on device")


def is_mariadb(error: BaseException) -> bool:
    """Return whether the driver for MariaDB raised an error."""
    return type(error).__module__.partition(".")[0] == DRIVER


def code_of(error: BaseException) -> int | None:
    """Return the number of a MariaDB error; None if it has none.

    The driver's own InternalError has none: the server's packets came in another order than it expects, as they do when
    the server refuses a statement before it has read the whole of it. The connection is of no use then.
    """
    number = error.args[0] if error.args else None
    if isinstance(number, int):
        return number
    return OUT_OF_SYNC if is_mariadb(error) and type(error).__name__ == "InternalError" else None


def mariadb_reason(error: BaseException) -> str | None:
    """Return in a few words why a MariaDB failed; None when the statement itself is at fault."""
    code = code_of(error)
    if code == _COMMIT_FAILED and _NO_SPACE.search(mariadb_text(error)):
        return f"{_FULL} (error {code})"
    if code in _FROM_THE_DISK:
        reason = _FULL if _NO_SPACE.search(mariadb_text(error)) else "the server's disk has failed"
    elif code in _REASONS:
        reason = _REASONS[code]
    else:
        return None
    if code in _EXPLAINED:
        reason = f"{reason}: {' '.join(mariadb_text(error).split())}"
    return f"{reason} (error {code})" if code else reason


def mariadb_text(error: BaseException) -> str:
    """Return MariaDB's own words, without its number and without the value that it quotes."""
    return _QUOTED.sub(r"\1", str(error.args[-1])) if error.args else type(error).__name__


def is_lost(error: BaseException) -> bool:
    """Return whether the connection was lost that a statement ran on."""
    return is_mariadb(error) and code_of(error) in LOST_IN_USE


def is_unsettled(error: BaseException) -> bool:
    """Return whether a COMMIT that raised an error may have stored the change all the same."""
    return is_lost(error) or (is_mariadb(error) and code_of(error) in UNSETTLED)
