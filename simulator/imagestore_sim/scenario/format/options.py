"""Options of the global configuration in a scenario: `ping.interval: 10s`, `reservedCapacity: 2 GiB`."""

from __future__ import annotations

from collections.abc import Mapping

from imagestore_sim.backup_storage.global_config import OPTIONS as STORAGE_OPTIONS
from imagestore_sim.backup_storage.global_config import PING_INTERVAL, PING_SLEEP_AFTER_FAILURE, RESERVED_CAPACITY
from imagestore_sim.database.global_config import ConfigOption, InvalidOption
from imagestore_sim.database.zstack_global_config import zstack_options
from imagestore_sim.images.expunge import INTERVAL as EXPUNGE_INTERVAL
from imagestore_sim.images.expunge import PERIOD as EXPUNGE_PERIOD
from imagestore_sim.images.garbage import INTERVAL as REMOVAL_INTERVAL
from imagestore_sim.rest.session_options import OPTIONS as IDENTITY_OPTIONS
from imagestore_sim.scenario.format.schema import reject, unknown
from imagestore_sim.units import parse_bytes, parse_seconds

_OF_IMAGES = [one for (category, _), one in zstack_options().items() if category == "image"]
OPTIONS: Mapping[str, ConfigOption[object]] = {
    one.name: one for one in (*_OF_IMAGES, *STORAGE_OPTIONS, *IDENTITY_OPTIONS)
}
_IN_SECONDS = {
    *(PING_INTERVAL.name, PING_SLEEP_AFTER_FAILURE.name, "session.timeout", "session.cleanup.interval"),
    *(EXPUNGE_INTERVAL.name, EXPUNGE_PERIOD.name, REMOVAL_INTERVAL.name),
}


def option_text(name: str, value: object) -> str:
    """Return the value of an option as the node takes it: 10 for `10s`, bytes for `2 GiB`. Raise ValueError."""
    if name not in OPTIONS:
        raise ValueError(unknown(name, sorted(OPTIONS)))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if name in _IN_SECONDS and not text.lstrip("-").isdigit():
        text = str(round(parse_seconds(value)))
    if name == RESERVED_CAPACITY.name:
        text = str(parse_bytes(value))
    try:
        OPTIONS[name].read(OPTIONS[name], text)
    except InvalidOption as error:
        raise ValueError(str(error)) from None
    return text


def check_settings(settings: Mapping[str, object]) -> None:
    """Raise a ValidationError for the first option that is unknown or has a bad value, at its place in `settings`."""
    for name, value in settings.items():
        try:
            option_text(name, value)
        except ValueError as error:
            reject(("settings", name), str(error), value)
