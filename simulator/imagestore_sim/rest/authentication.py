"""The Authorization header: a session's uuid, or a signature made with an access key (wire-protocol 2.2, 2.7)."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, Vault
from imagestore_sim.database.models import AccessKey
from imagestore_sim.rest.errors import PlainError
from imagestore_sim.rest.identity import Claim, Identity
from imagestore_sim.rest.leniency import Leniency

SESSION_SCHEME = "OAuth"
KEY_SCHEME = "ZStack"
DATE_HEADER, DATE_HEADER_OF_PAGES = "Date", "X-Date"
ALLOWED_SKEW = timedelta(minutes=15)
WESTERNMOST, EASTERNMOST = timedelta(hours=-12), timedelta(hours=14)
DATE = re.compile(r"([a-z]{3}), (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) \S+", re.IGNORECASE | re.ASCII)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature covers (clients 1.1, 4.2).

    A client may have signed the path as sent or the decoded path: `paths` has both.
    """

    method: str
    date: str | None
    paths: tuple[str, ...]


class Authentication:
    """Reads Authorization headers. It verifies signatures; a session is checked later, by the dispatcher."""

    def __init__(self, database: Database, vault: Vault, clock: Clock, leniency: Leniency) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._leniency = leniency

    def date_of(self, headers: Mapping[str, str]) -> str | None:
        """Return the date that a request is signed with, or None if it carries none."""
        date = headers.get(DATE_HEADER)
        return headers.get(DATE_HEADER_OF_PAGES) if date is None and self._leniency.date_of_pages else date

    async def claim(self, authorization: str | None, signed: Signed) -> Claim:
        """Return the claim of a header. Raise PlainError 400 or 403 (wire-protocol 2.2)."""
        if authorization is None:
            raise PlainError(400, "missing header 'Authorization'")
        value = authorization.strip()
        if value.startswith(SESSION_SCHEME):
            return value.removeprefix(SESSION_SCHEME).strip()
        if value.startswith(KEY_SCHEME):
            return await self._owner(value.removeprefix(KEY_SCHEME).strip(), signed)
        raise PlainError(400, f"Authorization type must be '{SESSION_SCHEME}'")

    async def _owner(self, key: str, signed: Signed) -> Identity:
        """Return who owns the access key of a signed request. Raise PlainError."""
        date = self._check_date(signed.date)
        key_id, separator, signature = key.rstrip(":").partition(":")
        if not separator or ":" in signature:
            raise PlainError(400, "accessKey format is 'ZStack AccessKeyId:Signature'")
        rows = await self._database.read(select(AccessKey).where(AccessKey.AccessKeyID == key_id))
        if not rows:
            raise PlainError(403, f"access key id[{key_id}] does not exist")
        if rows[0].state != "Enabled":
            raise PlainError(403, f"access key id[{key_id}] is disabled")
        secret = self._vault.decrypt(rows[0].AccessKeySecret)
        expected = [sign(secret, signed.method, date, path) for path in signed.paths]
        if not any(hmac.compare_digest(one.encode(), signature.encode()) for one in expected):
            raise PlainError(403, "wrong accessKey signature")
        return Identity(rows[0].accountUuid, rows[0].userUuid)

    def _check_date(self, text: str | None) -> str:
        if text is None:
            raise PlainError(400, "'Date' must be incuded in request header")
        moment = read_date(text)
        if moment is None:
            raise PlainError(400, "'Date' format error, correct format is 'EEE, dd MMM yyyy HH:mm:ss z'")
        if self._is_skewed(moment):
            raise PlainError(403, "requestTimeTooSkewed")
        return text

    def refuses(self, date: str, skew: float) -> bool:
        """Return whether the date of a request is wrong for a clock that is `skew` seconds ahead."""
        moment = read_date(date)
        return moment is not None and self._is_skewed(moment, timedelta(seconds=skew))

    def _is_skewed(self, moment: datetime, skew: timedelta = timedelta()) -> bool:
        """Return whether a moment is too far from a clock that is `skew` ahead; any moment has a distance."""
        ahead = moment - self._clock.local()
        west, east = timedelta(), timedelta()
        if self._leniency.any_time_zone:
            ahead = moment - datetime.fromtimestamp(self._clock.time(), UTC).replace(tzinfo=None)
            west, east = WESTERNMOST, EASTERNMOST
        return not west - ALLOWED_SKEW <= ahead - skew <= east + ALLOWED_SKEW


def sign(secret: str, method: str, date: str, path: str) -> str:
    """Return the signature of a request: HMAC-SHA1 of method, Date header and path below the context, in base64."""
    digest = hmac.digest(secret.encode(), f"{method}\n{date}\n{path}".encode(), "sha1")
    return base64.b64encode(digest).decode()


def read_date(text: str) -> datetime | None:
    """Return the wall clock time of a Date header, or None if it is malformed.

    The zone is ignored: clients write it in too many ways to tell zones apart.
    """
    match = DATE.fullmatch(text)
    if match is None or match[3].lower() not in MONTHS:
        return None
    year, month, day = int(match[4]), MONTHS.index(match[3].lower()) + 1, int(match[2])
    try:
        moment = datetime(year, month, day, int(match[5]), int(match[6]), int(match[7]))  # noqa: DTZ001 - a wall clock
    except ValueError:
        return None
    return moment if DAYS[moment.weekday()] == match[1].lower() else None
