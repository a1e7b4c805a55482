"""Options of the global configuration, written as people do."""

from __future__ import annotations

from collections.abc import Mapping

from imagestore_sim.backup_storage.global_config import OPTIONS as STORAGE_OPTIONS
from imagestore_sim.backup_storage.global_config import PING_INTERVAL, PING_SLEEP_AFTER_FAILURE, RESERVED_CAPACITY
from imagestore_sim.database.global_config import ConfigOption, InvalidOption
from imagestore_sim.rest.session_options import OPTIONS as IDENTITY_OPTIONS
from imagestore_sim.scenario.format.schema import complain, unknown
from imagestore_sim.units import parse_bytes, parse_seconds

OPTIONS: Mapping[str, ConfigOption[object]] = {one.name: one for one in (*STORAGE_OPTIONS, *IDENTITY_OPTIONS)}
SECONDS = {PING_INTERVAL.name, PING_SLEEP_AFTER_FAILURE.name, "session.timeout", "session.cleanup.interval"}


def option_text(name: str, value: object) -> str:
    """The value of an option as the node takes it: `10s` is 10, `2 GiB` the number of bytes. Raises ValueError."""
    if name not in OPTIONS:
        raise ValueError(unknown(name, sorted(OPTIONS)))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if name in SECONDS and not text.lstrip("-").isdigit():
        text = str(round(parse_seconds(value)))
    if name == RESERVED_CAPACITY.name:
        text = str(parse_bytes(value))
    try:
        OPTIONS[name].read(OPTIONS[name], text)
    except InvalidOption as error:
        raise ValueError(str(error)) from None
    return text


def check_settings(settings: Mapping[str, object]) -> None:
    """Complain of the first option that cannot be; it is taken to stand under `settings`."""
    for name, value in settings.items():
        try:
            option_text(name, value)
        except ValueError as error:
            complain(("settings", name), str(error), value)
