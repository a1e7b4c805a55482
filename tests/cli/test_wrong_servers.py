"""Commands that call a node report any other server at its URL in one plain line."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imagestore_sim.testing import Client
from processes import Finished, run, run_here

pytestmark = pytest.mark.thorough

SCENARIO = str(Path(__file__).parent.parent.parent / "scenarios" / "one-lost-ping.yaml")
ANSWERS = {
    "a page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>",
    "no such page": b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n<br/>",
    "another API": b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"some": [1]}',
    "a list": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]",
    "broken JSON": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{]",
    "an error": b"HTTP/1.1 503 No\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n"
    b'{"error": {"code": "A", "details": "b"}}',
    "another error": b'HTTP/1.1 400 No\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"error": "bad"}',
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
}
COMMANDS = {
    "record": ("record", "URL", "--out", "x.yaml", "--for", "1s"),
    "ready": ("ready", "URL"),
    "load": ("load", "records.yaml", "URL"),
    "replay": ("replay", SCENARIO, "--node", "URL"),
}


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """Serve one answer to everything, and close. Yield the URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if not answer.startswith(b"SSH"):
                self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def one(command: str, url: str, folder: Path) -> Finished:
    (folder / "records.yaml").write_text("zones: [{name: z}]\n")
    return run_here(*(url if one == "URL" else one for one in COMMANDS[command]), cwd=folder)


def check(finished: Finished, command: str, url: str) -> None:
    assert finished.status == (1 if command == "ready" else 2), finished
    assert finished.errors.count("\n") == 1, finished
    assert not finished.output, finished
    line = finished.errors.removeprefix("imagestore-sim: ").removeprefix("--node ")
    assert line.startswith(url), finished
    for sign in ("{", "[", "<", "Traceback", "Errno", "None", "('"):
        assert sign not in line, finished


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_is_no_node_is_reported_in_one_line(command: str, tmp_path: Path) -> None:
    for kind, answer in ANSWERS.items():
        with server(answer) as url:
            finished = one(command, url, tmp_path)
        try:
            check(finished, command, url)
        except AssertionError as error:
            error.add_note(kind)
            raise


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unreachable_node_is_reported_in_one_line(command: str, tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:1", "http://nosuch.invalid:80"):
        finished = one(command, url, tmp_path)
        check(finished, command, url)
        assert "cannot be reached: " in finished.errors


@pytest.mark.parametrize("command", [one for one in COMMANDS if one != "ready"])
def test_what_is_no_url_of_http_is_reported_as_that(command: str, tmp_path: Path) -> None:
    schemes = ("ftp://127.0.0.1:8080", "//127.0.0.1:8080", "//lab")
    for url in ("127.0.0.1:8080", "localhost:8080", *schemes, "foo", "http://127.0.0.1:x"):
        finished = one(command, url, tmp_path)
        assert (finished.status, finished.output) == (2, ""), url
        line = finished.errors.removeprefix("imagestore-sim: ").removeprefix("--node ")
        assert line == f"{url}: is not the URL of a server that speaks HTTP, such as http://127.0.0.1:8080\n"


@pytest.mark.processes
@pytest.mark.imagestore_lab(hosts=0)
async def test_a_failed_login_is_reported_in_one_line(imagestore_client: Client, tmp_path: Path) -> None:
    for command in (
        ("record", imagestore_client.url, "--out", "x.yaml"),
        ("replay", SCENARIO, "--node", imagestore_client.url),
    ):
        finished = await run(*command, "--password", "wrong", cwd=tmp_path)
        check(finished, command[0], imagestore_client.url)
        assert "wrong account name or password" in finished.errors
