"""Finds matchers that match every value a field may have, or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from imagestore_sim.backup_storage.records import IMAGE_STORE_TYPE, SFTP_TYPE, SIMULATOR_TYPE, State, Status
from imagestore_sim.images.rows import DELETED, DOWNLOADING, READY
from imagestore_sim.reasons import Reason
from imagestore_sim.scenario.format.matchers import Matcher
from imagestore_sim.scenario.format.schema import Problems, unknown
from imagestore_sim.units import parse_amount

MOST = 2**63 - 1
STATUSES, STATES, REASONS = tuple(Status), tuple(State), tuple(Reason)
TYPES = (IMAGE_STORE_TYPE, SFTP_TYPE, SIMULATOR_TYPE)
IMAGE_STATUSES = (DOWNLOADING, READY, DELETED)
WORDS: Mapping[str, Sequence[str]] = {
    "status": STATUSES,
    "oldStatus": STATUSES,
    "newStatus": STATUSES,
    "while": STATUSES,
    "state": STATES,
    "type": TYPES,
    "reason": REASONS,
}
"""The words that the fields of storages and events may hold."""
WORDS_OF_IMAGES: Mapping[str, Sequence[str]] = {
    "status": IMAGE_STATUSES,
    "oldStatus": IMAGE_STATUSES,
    "newStatus": IMAGE_STATUSES,
    "state": STATES,
}
"""The words that the fields of images and of their events may hold."""
NUMBERS: Mapping[str, tuple[float, float]] = {
    "count": (0, MOST),
    "sshPort": (1, 65535),
    "totalCapacity": (0, MOST),
    "availableCapacity": (0, MOST),
    "size": (0, MOST),
    "actualSize": (0, MOST),
    "copies": (0, MOST),
    "onDisk": (0, MOST),
    "value": (0, float("inf")),
}
"""The least and the greatest number that a field may hold."""
NEVER = "this can never be true"
ALWAYS = "this is always true"


def problems_of_words(matcher: Matcher, words: Sequence[str], name: str) -> Problems:
    """Yield what is vacuous about a matcher of the field `name`, which holds one of `words`."""
    for one in matcher.any_of:
        if one.operand not in words:
            yield (name,), unknown(one.operand, [str(word) for word in words])
            return
    yield from _problems_of_outcomes([matcher.matches(str(word), {}) for word in words], name)


def problems_of_numbers(matcher: Matcher, name: str, *, relative: bool = False) -> Problems:
    """Yield what is vacuous about a matcher of the field `name`, tried on the numbers around its operands.

    A matcher of a field that is `relative` may hold shares, or the names of other fields; it is not tried.
    """
    least, most = NUMBERS.get(name, (0, float("inf")))
    points = {least, least + 1, min(most, 2.0**80)}
    for one in matcher.any_of:
        try:
            amount = parse_amount(one.operand)
        except ValueError:
            return
        if amount.share is not None:
            if relative:
                return
            yield (name,), f"{one.operand} is a share, and {name} is a number"
            return
        points |= {amount.size + step for step in (-1, 0, 1)} | {amount.size * 0.98 - 1, amount.size * 1.02 + 1}
    yield from _problems_of_outcomes([matcher.matches(int(one), {}) for one in points if least <= one <= most], name)


def _problems_of_outcomes(met: Iterable[bool], name: str) -> Problems:
    outcomes = set(met)
    if outcomes == {False}:
        yield (name,), NEVER
    elif outcomes == {True}:
        yield (name,), ALWAYS


def problems_of_texts(matcher: Matcher, name: str, possible: str) -> Problems:
    """Yield the operands of a matcher of the field `name` that are nowhere in `possible`."""
    for one in matcher.any_of:
        if one.operand != "null" and one.operand not in possible:
            what = NEVER if one.sign == "=" else ALWAYS
            yield (name,), f"{what}: no record and no call of this scenario gives a storage the {name} {one.operand}"
            return


def only_match(matcher: Matcher, words: Sequence[str]) -> str | None:
    """Return the only word that matches, or None."""
    met = [one for one in words if matcher.matches(str(one), {})]
    return met[0] if len(met) == 1 else None
