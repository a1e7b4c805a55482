"""Compare queries with a bare aiohttp handler that answers as many bytes, and with moto's server.

    python benchmarks/query.py [--seconds 5] [--json]

The node holds 10,000 storages and pings 100 more on simulated hosts every second. Node and bare handler are pinned to
the same processor and loaded in turn, while the node is stopped by SIGSTOP if it is not its turn; wrk (Debian package
wrk) runs on another processor. The queries:

same_question   ten storages, the same request each time
by_uuid         one of all storages, a different one each time
filtered        `q=name~=…&sort=-availableCapacity&limit=20` over all storages; 111 match; 90 questions in turn, each
                time with a parameter that means nothing, so that no request is like one before
unlike_others   the same with 10,000 questions; one to 1,111 storages match, mostly one
moto            the node's ten storages over moto's DescribeVolumes with ten volumes
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from load import Load, load, peak_memory, server, url_of

BARE = Path(__file__).with_name("bare.py")
API = "/zstack/v1"
LIST = f"{API}/backup-storage/image-store"
SORTED = "%25&sort=-availableCapacity&limit=20"
HOSTS, STORAGES = 100, 10_000
ROUNDS = 3
SECONDS_TO_SETTLE = 2
# Paths as Lua expressions over `n`, the number of the request; and an example of each.
PATHS = {
    "same_question": f'"{LIST}?limit=10"',
    "by_uuid": f'string.format("{LIST}/b%031x", n * 7919 % {STORAGES})',
    "filtered": f'"{LIST}?q=name~=%25-" .. (10 + n % 90) .. "{SORTED}&n=" .. n',
    "unlike_others": f'"{LIST}?q=name~=%25-" .. (n * 7919 % {STORAGES}) .. "{SORTED}"',
}
EXAMPLES = {
    "same_question": f"{LIST}?limit=10",
    "by_uuid": f"{LIST}/b{1:031x}",
    "filtered": f"{LIST}?q=name~=%25-37{SORTED}",
    "unlike_others": f"{LIST}?q=name~=%25-37{SORTED}",
}
EC2 = "AWS4-HMAC-SHA256 Credential=a/20240101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=a"
EC2_VERSION = "2016-11-15"


@dataclass(frozen=True)
class Measured:
    """The load of one query on the node, and of as many bytes (`size`) on the bare handler."""

    size: int
    node: Load
    bare: Load

    @property
    def ratio(self) -> float:
        """Return the rate of the node divided by that of the bare handler."""
        return self.node.rate / self.bare.rate

    @property
    def ratio_of_costs(self) -> float:
        """Return the same ratio by processor time, which other load does not change; it includes the pings."""
        return self.bare.cost / self.node.cost


def main() -> int:
    """Measure, print the figures, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=5, help="how long each load lasts")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    measured, memory = measure_node(options.seconds)
    moto = measure_moto(options.seconds) if find_spec("moto") else None
    ratios = {name: round(one.ratio, 3) for name, one in measured.items()}
    node = measured["same_question"].node
    if moto is not None:
        ratios["moto"] = round(node.rate / moto.rate, 3)
    if options.json:
        details = {name: asdict(one) for name, one in measured.items()}
        costs = {name: round(one.ratio_of_costs, 3) for name, one in measured.items()}
        results = {"ratios": ratios, "ratios_of_costs": costs, "peak_memory": memory, "measured": details}
        print(json.dumps({**results, "moto": moto and asdict(moto)}))
        return 0
    print(f"{'':14} {'node/s':>9} {'bare/s':>9} {'ratio':>7} {'by cost':>8} {'p99 ms':>8} {'bare p99':>9} {'bytes':>7}")
    for name, one in measured.items():
        figures = f"{one.node.rate:9.0f} {one.bare.rate:9.0f} {one.ratio:7.3f} {one.ratio_of_costs:8.3f}"
        figures += f" {one.node.p99:8.2f} {one.bare.p99:9.2f}"
        print(f"{name:14} {figures} {one.size:7}")
    if moto is None:
        print("moto is not installed, and so not measured")
    else:
        print(f"{'moto':14} {node.rate:9.0f} {moto.rate:9.0f} {ratios['moto']:7.1f} times as fast")
    print(f"peak memory of the node: {memory / 2**20:.0f} MiB")
    return 0


def measure_node(seconds: int) -> tuple[dict[str, Measured], int]:
    """Return the figures of each query, and the peak memory of the node in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        bootstrap = Path(folder) / "bootstrap.json"
        bootstrap.write_text(json.dumps({"backupStorages": list(records())}))  # JSON is YAML
        options = [f"--hosts={HOSTS}", "--ping-interval=1", "--port=0", f"--bootstrap={bootstrap}"]
        with server([sys.executable, "-m", "imagestore_sim", "lab", *options]) as node:
            url = url_of(node)
            headers = {"Authorization": f"OAuth {log_in(url)}"}
            found = {name: measure(name, node, url, headers, seconds) for name in PATHS}
            return found, peak_memory(node)


def measure(name: str, node: subprocess.Popen[str], url: str, headers: Mapping[str, str], seconds: int) -> Measured:
    """Load the node and the bare handler with one query in turn; return the median of ROUNDS rounds by ratio."""
    size = len(fetch(url + EXAMPLES[name], headers))
    with server([sys.executable, str(BARE), str(size)]) as process:
        bare = url_of(process)
        rounds = []
        for _ in range(ROUNDS):
            on_node = load(node, url, PATHS[name], headers, seconds)
            with stopped(node):
                rounds.append(Measured(size, on_node, load(process, bare, '"/"', {}, seconds)))
            time.sleep(SECONDS_TO_SETTLE)  # the pings that it has missed are made first
    return sorted(rounds, key=lambda one: one.ratio)[ROUNDS // 2]


@contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[None]:
    """Stop a process by SIGSTOP inside the block, and continue it on exit."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def records() -> Iterator[dict[str, object]]:
    """Yield the records of STORAGES storages that are never probed."""
    for number in range(STORAGES):
        yield {
            "uuid": f"b{number:031x}",
            "name": f"archive-{number}",
            "description": f"archive number {number}",
            "hostname": f"archive-{number}.example",
            "url": "/archive",
            "totalCapacity": 2**40,
            "availableCapacity": number * 7919 % STORAGES * 2**26,
            "status": "Connected",
            "tracked": False,
        }


def measure_moto(seconds: int) -> Load:
    """Load moto's DescribeVolumes with ten volumes."""
    with moto() as (process, url):
        headers = {"Authorization": EC2}
        zone = "AvailabilityZone=us-east-1a"
        for _ in range(10):
            fetch(f"{url}/?Action=CreateVolume&Version={EC2_VERSION}&Size=10&{zone}", headers)
        return load(process, url, f'"/?Action=DescribeVolumes&Version={EC2_VERSION}"', headers, seconds)


@contextmanager
def moto() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run moto's server; yield its process and URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    run = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    with server([sys.executable, "-c", run]) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(url)
        yield process, url


def wait_for(url: str) -> None:
    """Wait until moto's server answers. Raise RuntimeError after 30 s."""
    for _ in range(300):
        try:
            fetch(f"{url}/moto-api/", {})
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"nothing answers at {url}")


def log_in(url: str) -> str:
    """Log in as admin and return the uuid of the session."""
    password = hashlib.sha512(b"password").hexdigest()
    body = json.dumps({"logInByAccount": {"accountName": "admin", "password": password}}).encode()
    request = urllib.request.Request(f"{url}{API}/accounts/login", body, method="PUT")
    with urllib.request.urlopen(request) as response:
        return str(json.load(response)["inventory"]["uuid"])


def fetch(url: str, headers: Mapping[str, str]) -> bytes:
    """Return the body of a URL. Raise urllib's HTTPError."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers))) as response:
        return bytes(response.read())


if __name__ == "__main__":
    sys.exit(main())
