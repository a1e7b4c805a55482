"""Log lines on standard error, as text or as JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

from imagestore_sim.correlation import correlation
from imagestore_sim.masking import on_one_line, without_userinfo


class JsonFormatter(logging.Formatter):
    """Formats each record as a JSON object on one line.

    `time` (ISO 8601), `level`, `logger` and `message` are always there; `clockTime` (of the lab), `correlation` and
    `traceback` where the record has them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without the passwords of URLs."""
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
        return json.dumps(line)  # not orjson: a path may hold bytes that are not UTF-8


class TextFormatter(logging.Formatter):
    """Formats each message on one line, with control characters escaped; a traceback follows on more lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Return the line, with control characters escaped and without the passwords of URLs."""
        record.message = on_one_line(without_userinfo(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        """Return the traceback, with the same escapes in each line."""
        return "\n".join(on_one_line(line) for line in without_userinfo(super().formatException(ei)).split("\n"))


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Log to standard error: this package at `level`, libraries at warning, asyncssh at error."""
    handler = logging.StreamHandler()
    text = TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("imagestore_sim").setLevel(level.upper())
    # Its warnings name hosts and users; the failure of a probe says the same in better words.
    logging.getLogger("asyncssh").setLevel(logging.ERROR)
