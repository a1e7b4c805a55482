"""How log lines are written: to standard error, as text or as JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

from imagestore_sim.correlation import correlation
from imagestore_sim.masking import on_one_line, without_userinfo


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601), level, logger, message, and whatever there is of the time on the lab's
    clock, what the line came of, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _date(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_userinfo(record.getMessage()),
        }
        if (clock_time := getattr(record, "clock_time", None)) is not None:
            line["clockTime"] = _date(clock_time)
        if (uuid := getattr(record, "correlation", None) or correlation()) is not None:
            line["correlation"] = uuid
        if record.exc_info:
            line["traceback"] = without_userinfo(self.formatException(record.exc_info))
        return json.dumps(line)  # not orjson: a path may hold bytes that are no text


class TextFormatter(logging.Formatter):
    """One line a message, whatever is in it of what clients and hosts have sent; tracebacks have lines of their own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Return the line, with control characters escaped and without the passwords of URLs."""
        record.message = on_one_line(without_userinfo(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        """Return the traceback: text in it moves no cursor either."""
        return "\n".join(on_one_line(line) for line in without_userinfo(super().formatException(ei)).split("\n"))


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Send log lines of our own at `level`, and those of libraries at warning, to standard error."""
    handler = logging.StreamHandler()
    text = TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("imagestore_sim").setLevel(level.upper())
    # Its messages name hosts and users, which the failure of a probe tells in better words.
    logging.getLogger("asyncssh").setLevel(logging.ERROR)
