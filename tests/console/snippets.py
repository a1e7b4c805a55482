"""The explorer's snippets, and a server that records what they send."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from console.test_explorer_modules import HERE, run_node

SECRETS = {
    "ZSTACK_SESSION": "0123456789abcdef0123456789abcdef",
    "IMAGESTORE_SIM_LAB_TOKEN": "token of a test",
    "PASSWORD": "pass $word 'of' a test",
}
JOB = "/zstack/v1/api-jobs/"


@dataclass(frozen=True)
class Call:
    """A call: what the page would send, and its snippets by language."""

    api: str
    name: str
    message: str | None
    synchronous: bool
    authenticated: bool
    request: Mapping[str, Any]
    variables: Mapping[str, str]
    snippets: Mapping[str, str]

    def environment(self) -> dict[str, str]:
        """Return the variables that stand for secrets."""
        return {**SECRETS, **self.variables}


@dataclass(frozen=True)
class Sent:
    """A request that was recorded."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    text: str


@dataclass
class Recorder:
    """A server that answers every call, a job after one more poll, and keeps what was sent."""

    url: str = ""
    sent: list[Sent] = field(default_factory=list)

    def take(self) -> list[Sent]:
        """Return what was sent since the last time, but for the polls."""
        taken, self.sent = self.sent, []
        return [one for one in taken if not one.path.startswith(JOB)]


def snippets(
    documents: Mapping[str, Any], origin: str, calls: list[dict[str, Any]] | None = None, *, needs_token: bool = True
) -> list[Call]:
    """Return calls with their snippets; without `calls`, every operation with a value for each of its inputs."""
    given = {"documents": documents, "origin": origin, "secrets": SECRETS, "needsToken": needs_token}
    text = json.dumps(given if calls is None else given | {"calls": calls})
    written = json.loads(run_node(str(HERE / "write_snippets.mjs"), text=text))
    return [
        Call(
            one["api"],
            one["operationId"],
            one["message"],
            one["synchronous"],
            one["authenticated"],
            one["request"],
            one["variables"],
            one["snippets"],
        )
        for one in written
        if one["operationId"] != "pollJob"  # the recorder takes it for the poll of another call
    ]


@contextmanager
def recorder() -> Iterator[Recorder]:
    """Run a server that records requests."""
    recorded = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            query = parse_qsl(parts.query, keep_blank_values=True)
            text = self.rfile.read(length).decode()
            polls = sum(one.path == self.path for one in recorded.sent)
            recorded.sent.append(Sent(self.command, parts.path, query, dict(self.headers.items()), text))
            begins = not parts.path.startswith(JOB) and self.command != "GET"
            body = {"location": f"{recorded.url}{JOB}{len(recorded.sent)}"} if begins else {}
            self.answer(202 if begins or (parts.path.startswith(JOB) and polls == 0) else 200, body)

        def answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        recorded.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield recorded
        server.shutdown()
        thread.join()


def check_all_sent(calls: list[Call], server: Recorder, language: str) -> None:
    """Fail unless the snippets have sent what the page would send, each once and one after the other."""
    sent = server.take()
    assert len(sent) == len(calls)
    for call, found in zip(calls, sent, strict=True):
        _check_sent(call, found, language)


def _check_sent(call: Call, found: Sent, language: str) -> None:
    request = call.request
    assert (found.method, found.path) == (request["method"], request["path"]), (call.name, language)
    assert sorted(found.query) == sorted(map(tuple, request["query"])), (call.name, language)
    body = json.loads(found.text) if request["body"] is not None else found.text.rstrip("\n")
    assert body == (request["text"] if request["body"] is None else request["body"]), (call.name, language)
    headers = {name.lower(): value for name, value in found.headers.items()}
    for name, value in request["headers"]:
        assert headers[name.lower()] == value, (call.name, language)
    assert headers.get("authorization") == _authorization(call), (call.name, language)


def _authorization(call: Call) -> str | None:
    if call.api == "lab":
        return f"Bearer {SECRETS['IMAGESTORE_SIM_LAB_TOKEN']}"
    return f"OAuth {SECRETS['ZSTACK_SESSION']}" if call.authenticated else None
