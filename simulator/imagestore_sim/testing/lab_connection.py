"""Calls of a lab in another process, which block; no proxy of the environment comes between."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from imagestore_sim.lab_api.guard import TOKEN_HEADER
from imagestore_sim.lab_api.lab_time import TIME_HEADER
from imagestore_sim.testing.words import LabError

LONGEST_ANSWER = 120.0
"""Seconds; a step over a month of many hosts takes a while."""


class Refused(LabError):
    """The lab refused a call; the text is its sentence."""

    def __init__(self, call: str, status: int, reason: str, answer: Any) -> None:
        super().__init__(f"{call}: {reason}")
        self.status = status
        self.reason = reason
        self.answer = answer


class LabConnection:
    """Calls the lab at a URL."""

    def __init__(self, url: str, token: str | None, ending: Callable[[], str | None]) -> None:
        """Ask `ending` how the lab has ended, if it does not answer; None: it is not known to have ended."""
        self.url = url.rstrip("/")
        self._ending = ending
        self.token = token
        self.followed: Callable[[], float] | None = None
        """The lab's seconds since it began that each call carries, if a clock is followed."""
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def headers(self) -> dict[str, str]:
        """Return the headers of a call: the token, and the time that is followed."""
        token = {} if self.token is None else {TOKEN_HEADER: self.token}
        return token if self.followed is None else token | {TIME_HEADER: f"{self.followed():.6f}"}

    def lab(self, method: str, path: str, body: object = None) -> Any:
        """Call /lab/v1; see `call`."""
        return self.call(method, f"/lab/v1{path}", body)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send `body` as JSON, a text as it is, and return the JSON of the answer, or its text.

        Raise Refused for a status of 400 and more, and LabError if there is no answer.
        """
        data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the test names the URL
            f"{self.url}{path}", data=data, method=method, headers=self.headers()
        )
        call = f"{method} {self.url}{path}"
        try:
            with self._opener.open(request, timeout=LONGEST_ANSWER) as answer:
                return _read(answer.read(), answer.headers.get_content_type())
        except urllib.error.HTTPError as error:
            with error:
                answer = _read(error.read(), error.headers.get_content_type())
            raise Refused(call, error.code, _reason(answer) or f"HTTP {error.code}", answer) from None
        except (OSError, http.client.HTTPException) as error:
            reason: object = getattr(error, "reason", error)
            raise LabError(f"{call}: {self._ending() or reason or type(error).__name__}") from None


def none_ended() -> None:
    """Return that nothing is known of the end of a lab that was started elsewhere."""


def _read(data: bytes, content_type: str) -> Any:
    return json.loads(data) if content_type.endswith("json") else data.decode()


def _reason(answer: Any) -> str:
    """Return the sentence of a refusal: text, `{"error": "..."}`, or ZStack's error object."""
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if isinstance(error, dict):
        return f"{error.get('code')}: {error.get('details') or error.get('description')}"
    return str(error)[:500]
