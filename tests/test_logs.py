"""Log lines: their form, and whose are written at which level."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import pytest

from imagestore_sim import logs
from imagestore_sim.correlation import correlated, correlation

ours = logging.getLogger("imagestore_sim.test_logs")
theirs = logging.getLogger("somebody.else")


@pytest.fixture(autouse=True)
def _configured_as_before() -> Iterator[None]:
    """Take pytest's own handlers aside, which `configure` would close."""
    root, changed = logging.getLogger(), [logging.getLogger(name) for name in ("", "imagestore_sim", "asyncssh")]
    handlers, levels = root.handlers[:], [logger.level for logger in changed]
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    for logger, level in zip(changed, levels, strict=True):
        logger.setLevel(level)


def test_a_text_line_has_time_level_logger_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    ours.warning("%s is %s", "host", "down")
    output, errors = capsys.readouterr()
    assert output == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]{8},\d{3} WARNING imagestore_sim\.test_logs: host is down\n", errors)


def test_a_json_line_has_time_level_logger_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    ours.info("%s is\n%s", "host", "üp")
    [line] = capsys.readouterr().err.splitlines()
    written = json.loads(line)
    moment = datetime.fromisoformat(written.pop("time"))
    assert written == {"level": "info", "logger": "imagestore_sim.test_logs", "message": "host is\nüp"}
    assert moment.utcoffset() is not None
    assert abs(moment.timestamp() - time.time()) < 60


def test_a_json_line_has_the_traceback_where_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    try:
        raise ValueError("no")
    except ValueError:
        ours.exception("it failed")
    [line] = capsys.readouterr().err.splitlines()
    written = json.loads(line)
    assert written["message"] == "it failed"
    assert written["traceback"].endswith("ValueError: no")


def test_a_json_line_may_name_a_path_that_is_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    ours.info("cannot read %s", os.fsdecode(b"\xff.db"))
    [line] = capsys.readouterr().err.splitlines()
    assert os.fsencode(json.loads(line)["message"]) == b"cannot read \xff.db"


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_is_for_lines_of_our_own(capsys: pytest.CaptureFixture[str], level: str, written: list[str]) -> None:
    logs.configure(level, "json")
    for name in ("debug", "info", "warning", "error"):
        getattr(ours, name)("line")
        getattr(theirs, name)("line")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["level"] for line in lines if line["logger"] == ours.name] == written
    assert [line["level"] for line in lines if line["logger"] == theirs.name] == ["warning", "error"]


def test_the_names_of_hosts_and_users_in_asyncssh_s_warnings_are_not_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("debug", "text")
    logging.getLogger("asyncssh").warning("root@imagestore-1")
    assert capsys.readouterr().err == ""


def test_to_configure_again_replaces_what_was_configured(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("text", "json"):
        logs.configure("info", "json" if form == "json" else "text")
    ours.info("once")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "once"


def test_a_json_line_has_the_correlation_and_the_time_of_the_lab_s_clock(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    with correlated("a" * 32):
        ours.info("within")
    ours.info("of an event", extra={"clock_time": 1704067200.5, "correlation": "b" * 32})
    ours.info("of nothing")
    within, event, nothing = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert within["correlation"] == "a" * 32
    assert "clockTime" not in within
    assert (event["correlation"], event["clockTime"]) == ("b" * 32, "2024-01-01T00:00:00.500+00:00")
    assert "correlation" not in nothing


async def test_a_task_keeps_the_correlation_that_it_started_with() -> None:
    seen: list[str | None] = []

    async def work() -> None:
        await asyncio.sleep(0)
        seen.append(correlation())

    with correlated("a" * 32):
        task = asyncio.create_task(work())
        with correlated("b" * 32):
            seen.append(correlation())
    seen.append(correlation())
    await task
    assert seen == ["b" * 32, None, "a" * 32]


@pytest.mark.parametrize("form", ["text", "json"])
def test_quoted_text_starts_no_line_and_shows_no_password(
    capsys: pytest.CaptureFixture[str], form: Literal["text", "json"]
) -> None:
    logs.configure("info", form)
    try:
        raise ValueError("no\x1b[2J http://user:hush@host/")
    except ValueError:
        ours.exception("hook %s", "http://user:hush@host/\r\n2026-01-01 INFO forged\x1b[2J\u2028\x85x")
    errors = capsys.readouterr().err
    assert "hush" not in errors
    assert not {"\x1b", "\r", "\u2028", "\x85"} & set(errors)
    assert not [line for line in errors.split("\n") if line.startswith("2026-01-01 INFO forged")]
    assert len(errors.splitlines()) == len(errors.split("\n")) - 1
