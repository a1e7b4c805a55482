"""Admission of requests before their body is read: their host, the page that sent them, the lab's token.

The lab's API can replace every record, the admin's password among them. No web page in the same browser may use it, and
on a node alone (`serve`) it changes nothing without `--lab-api`.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

from aiohttp import web

from imagestore_sim.host_names import AllowedHosts
from imagestore_sim.rest.origins import authorities, is_foreign, is_unasked, is_visit
from imagestore_sim.web_server import ACCEPTED, Request, problem

API_PATHS = ("/zstack/", "/v1/")
OPEN_PATHS = ("/healthz", "/readyz", "/metrics")
TOKEN_HEADER = "X-Lab-Token"  # noqa: S105 - the name of a header
"""Carries the lab's token in place of Authorization, which holds the session in calls of ZStack's API."""
HOOK_HEADER = "X-Job-Success"
"""A header of every post to an X-Web-Hook. A client chooses that address, and could choose this node's own."""
SCHEME = "bearer "
REALM = 'Bearer realm="imagestore-sim lab"'
HandleRequest = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class NotAdmitted(Exception):
    """A request that is refused: its HTTP status, and why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Guard:
    """Checks requests before they are answered."""

    def __init__(self, allowed_hosts: Iterable[str] = (), *, token: str | None = None, lab_api: bool = True) -> None:
        """Admit requests to `allowed_hosts`, IP addresses and names without a dot. Raise ValueError.

        Calls of the lab's API must carry `token`, unless it is None. Without `lab_api`, they change nothing and show
        nothing that only the admin may see.
        """
        self._hosts = AllowedHosts(allowed_hosts)
        self._token = token
        self._lab_api = lab_api

    @property
    def needs_token(self) -> bool:
        """Whether calls of the lab's API must carry a token."""
        return self._token is not None

    @property
    def may_change(self) -> bool:
        """Whether calls of the lab's API may change something."""
        return self._lab_api

    def knows(self, authority: str) -> bool:
        """Return whether HOST or HOST:PORT is this node."""
        return self._hosts.has(authority)

    def before(self, handle: HandleRequest) -> HandleRequest:
        """Return `handle` with a check before it. A refusal closes the connection."""

        async def guarded(request: web.BaseRequest) -> web.StreamResponse:
            try:
                if isinstance(request, Request) and request.refusal is not None:
                    raise NotAdmitted(*request.refusal)
                self.check(request)
            except NotAdmitted as refusal:
                return response_to(request, refusal)
            return await handle(request)

        return guarded

    def check(self, request: web.BaseRequest) -> None:
        """Raise NotAdmitted for a request that no part of the node may answer."""
        self._check_host(request)
        if not is_foreign(request):
            return
        if request.method == "POST" and is_unasked(request):
            raise NotAdmitted(403, f"a page of another origin{_of(request)} may not send what a form can send")
        is_page = not request.raw_path.startswith((*API_PATHS, *OPEN_PATHS)) and request.method != "OPTIONS"
        if is_page and not is_visit(request):
            raise NotAdmitted(403, f"a page of another origin{_of(request)} may not ask for this")

    def check_lab(self, request: web.BaseRequest, *, changes: bool) -> None:
        """Raise NotAdmitted for a call of the lab's API that may not be made.

        `changes`: the call changes something, or shows what only the admin may see.
        """
        if is_foreign(request) and (changes or not is_visit(request)):
            raise NotAdmitted(403, f"a page of another origin{_of(request)} may not use the lab's API")
        if HOOK_HEADER in request.headers:
            raise NotAdmitted(403, "a web hook of ZStack's API may not use the lab's API")
        if self._token is not None and not self._has_token(request, self._token):
            text = f"`Authorization: Bearer TOKEN` or `{TOKEN_HEADER}: TOKEN`"
            raise NotAdmitted(401, f"the lab's API needs its token (--lab-token) as {text}")
        if changes and not self._lab_api:
            raise NotAdmitted(403, "this node does not offer the lab's API; start it with --lab-api for that")

    def _check_host(self, request: web.BaseRequest) -> None:
        named = authorities(request)
        count = len(request.headers.getall("Host", ()))
        if count > 1 or (count == 0 and request.version >= (1, 1)):
            raise NotAdmitted(400, f"a request must have one Host header, and this one has {count or 'none'}")
        for authority in named:
            if not self.knows(authority):
                raise NotAdmitted(
                    421,
                    f"this node is not known as {authority[:100]!r}; if that is its name, start it with --allowed-host"
                    " and that name. IP addresses, localhost and names without a dot need no such option",
                )

    def _has_token(self, request: web.BaseRequest, token: str) -> bool:
        if (alone := request.headers.getall(TOKEN_HEADER, None)) is not None:
            shown = alone[0].strip() if len(alone) == 1 else ""
            return hmac.compare_digest(shown.encode(errors="surrogateescape"), token.encode())
        given = [one.strip() for one in request.headers.getall("Authorization", ())]
        shown = given[0][len(SCHEME) :].strip() if len(given) == 1 and given[0].lower().startswith(SCHEME) else ""
        return hmac.compare_digest(shown.encode(errors="surrogateescape"), token.encode())


def response_to(request: web.BaseRequest, refusal: NotAdmitted) -> web.Response:
    """Return the refusal as JSON; as plain text on ZStack's paths (wire-protocol 2.2)."""
    if request.raw_path.startswith(API_PATHS):
        response = web.Response(text=str(refusal), status=refusal.status)
    else:
        response = problem(refusal.status, str(refusal))
    if refusal.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        response.headers["Accept-Encoding"] = ACCEPTED  # RFC 9110, 15.5.16
    response.force_close()  # its body has not been read
    return response


def _of(request: web.BaseRequest) -> str:
    origin = request.headers.get("Origin", "")
    return f" ({origin[:100]})" if origin else ""
