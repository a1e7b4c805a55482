"""The proxy in front of the nodes, by its own program: who gets which request, without containers."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mariadb_server import free_port

pytestmark = pytest.mark.processes
CONFIGURATION = Path(__file__).parents[2] / "docker" / "proxy" / "nodes.cfg"
PAGE = {"X-Requested-With": "imagestore-sim"}
WITHIN = 60.0


class _Node(BaseHTTPRequestHandler):
    """Answers every GET with the port that it came to."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(self.connection.getsockname()[1]).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
        pass


class Proxied:
    """Three nodes behind the proxy."""

    def __init__(self, url: str, nodes: dict[str, ThreadingHTTPServer]) -> None:
        self.url = url
        self.nodes = nodes

    def ask(self, **headers: str) -> str:
        """Return the port of the node that answered."""
        asked = urllib.request.Request(f"{self.url}/lab/v1/nodes", headers=headers)
        with urllib.request.urlopen(asked, timeout=WITHIN) as answer:
            return str(answer.read().decode())

    def stop(self, node: str) -> None:
        """Have a node refuse connections."""
        stopped = self.nodes.pop(node)
        stopped.shutdown()
        stopped.server_close()


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Proxied]:
    """Run the proxy over three nodes."""
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("needs HAProxy (Debian: haproxy)")
    with ExitStack() as stack:
        nodes = {}
        for _ in range(3):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), _Node))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            nodes[str(server.server_port)] = server
        port, written = free_port(), CONFIGURATION.read_text()
        for number, node in enumerate(nodes, 1):
            written = written.replace(f"mn-{number}:8080", f"127.0.0.1:{node}")
        written = written.replace("bind :8080", f"bind 127.0.0.1:{port}")
        written = re.sub(r"^resolvers engine\n(    .*\n)+", "resolvers engine\n", written, flags=re.MULTILINE)
        (tmp_path / "nodes.cfg").write_text(written)
        proxy = stack.enter_context(
            subprocess.Popen(
                [program, "-f", str(tmp_path / "nodes.cfg")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
        stack.callback(proxy.terminate)
        found = Proxied(f"http://127.0.0.1:{port}", nodes)
        _until_listening(found)
        yield found
        for server in found.nodes.values():
            server.shutdown()


def _until_listening(proxied: Proxied) -> None:
    ends = time.monotonic() + WITHIN
    while True:
        try:
            proxied.ask()
        except OSError:
            assert time.monotonic() < ends, "the proxy does not answer"
            time.sleep(0.05)
        else:
            return


def test_clients_are_passed_on_by_turns_and_the_pages_to_one_node_as_long_as_it_is_there(proxied: Proxied) -> None:
    every = set(proxied.nodes)
    assert {proxied.ask() for _ in range(9)} == every
    [chosen] = {proxied.ask(**PAGE) for _ in range(9)}
    assert {proxied.ask(**{"X-Requested-With": "XMLHttpRequest"}) for _ in range(9)} == every
    proxied.stop(chosen)
    [next_one] = {proxied.ask(**PAGE) for _ in range(9)}
    assert next_one in every - {chosen}
    assert {proxied.ask() for _ in range(9)} == every - {chosen}
