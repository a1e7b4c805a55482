"""Send hostile requests to a node, drawn from a seed, for a while: `python fuzz_client.py URL SEED SECONDS`.

Prints one JSON object in the end: how many requests, and how many of each status (`none`: no answer).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
import re
import socket
import struct
import sys
import time
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
PASSWORD = hashlib.sha512(b"password").hexdigest()
BIG = 2 * 2**20
ANSWER_SECONDS = 20.0
STORAGE = "org.zstack.header.storage.backup"
TARGETS = (
    ("PUT", "/zstack/v1/accounts/login"),
    ("POST", "/zstack/v1/zones"),
    ("GET", "/zstack/v1/zones?q=name~=%25a%25&sort=-name&limit=3&replyWithCount=true"),
    ("GET", "/zstack/v1/backup-storage?q=zone.name!=x&q=__userTag__?=a,b&fields=name,uuid"),
    ("GET", "/zstack/v1/backup-storage/image-store?q=hostname=a&count=true"),
    ("POST", "/zstack/v1/backup-storage/image-store"),
    ("PUT", "/zstack/v1/backup-storage/image-store/{}/actions"),
    ("DELETE", "/zstack/v1/zones/{}?deleteMode=Permissive"),
    ("GET", "/zstack/v1/images"),
    ("GET", "/zstack/v1/zql?zql=query+backupstorage+where+name+%3D+'a'"),
    ("POST", "/zstack/v1/web-hooks"),
    ("PUT", "/zstack/v1/global-configurations/backupStorage/ping.interval/actions"),
    ("GET", "/zstack/v1/zwatch/metrics?namespace=ZStack/BackupStorage&metricName=BackupStorageUsedCapacityInPercent"),
    ("POST", "/zstack/v1/system-tags"),
    ("GET", "/zstack/v1/api-jobs/{}"),
    ("POST", "/zstack/api"),
    ("GET", "/zstack/api/result/{}"),
    ("GET", "/lab/v1/hosts"),
    ("PATCH", "/lab/v1/hosts/imagestore-1"),
    ("POST", "/lab/v1/hosts/imagestore-1/faults"),
    ("POST", "/lab/v1/hosts"),
    ("GET", "/lab/v1/requests?path=*a*&since=1"),
    ("GET", "/lab/v1/requests/wait?within=100ms&count=5"),
    ("GET", "/lab/v1/events?lastEventId=1"),
    ("PUT", "/lab/v1/clock"),
    ("POST", "/lab/v1/clock/step"),
    ("POST", "/lab/v1/snapshot"),
    ("GET", "/lab/v1/openapi.json"),
    ("GET", "/metrics"),
    ("GET", "/readyz"),
    ("GET", "/"),
)
BODIES: tuple[object, ...] = (
    {"logInByAccount": {"accountName": "admin", "password": PASSWORD}},
    {"params": {"name": "zone", "description": "d", "userTags": ["a"], "systemTags": ["ephemeral::validationOnly"]}},
    {"params": {"name": "s", "hostname": "h", "username": "root", "password": "p", "url": "/u", "sshPort": 22}},
    {"updateImageStoreBackupStorage": {"name": "n", "sshPort": 22, "hostname": "other"}},
    {"reconnectImageStoreBackupStorage": {}},
    {"updateGlobalConfig": {"value": "5"}},
    {"params": {"name": "h", "url": "http://127.0.0.1:9/", "type": "CanonicalEvent", "opaque": "/backup-storage/*"}},
    {"params": {"resourceType": "ZoneVO", "resourceUuid": "x", "tag": "t"}},
    {f"{STORAGE}.APIQueryBackupStorageMsg": {"conditions": [{"name": "name", "op": "in", "value": "a,b"}], "limit": 5}},
    {f"{STORAGE}.APIQueryBackupStorageMsg": {"fields": ["name"], "sortBy": "name", "sortDirection": "asc"}},
    {"speed": 2.0, "paused": False},
    {"speed": 1.0},
    {"seconds": "1s"},
    {"kind": "latency", "seconds": "10ms", "for": "1s"},
    {"kind": "refuse", "for": "1s"},
    {"size": "1 TiB", "used": "55%"},
    {"name": "made-1"},
    "zones: [{name: fuzz}]\nbackupStorages: [{hostname: h, name: n, url: /u, tracked: false}]\n",
)
PIECES = (
    "1e308", "-1", "9" * 400, "1e999999999", "NaN", "null", "[]", "{}", "true", '""', "'", "\\", "\\u0000", "\\ud800",
    "\u00e9", "\U0001f4be", "\x00", "%00", "%ff", "..", "/*", "//", "#", "*" * 30, "&a [*a]",
    "!env PATH", "!!int x", "- " * 70, "[" * 300,
    '{"a":' * 300, ",", ";", "=>", "9223372036854775808", "0000-00-00 00:00:00", "10000-01-01 00:00:00",
)  # fmt: skip
HEADERS = (
    "Expect: 100-continue", "Expect: x", "Content-Encoding: gzip", "Content-Encoding: x", "Transfer-Encoding: chunked",
    "X-Job-UUID: " + "a" * 32, "X-Job-UUID: \xe9", "X-Web-Hook: http://127.0.0.1:9/", "X-Web-Hook: \xff",
    "X-API-Timeout: 999", "Authorization: ZStack \xe9:x", "Authorization: OAuth", "Date: x", "Connection: close",
    "Connection: Upgrade", "Upgrade: websocket", "Content-Length: 1", "Content-Length: -1", "Host: x", "Origin: http://evil.example",
    "Last-Event-ID: x",
    "X-JSON-Schema: true", "Accept: text/html", "Range: bytes=0-", "If-None-Match: *", "Cookie: a=b",
)  # fmt: skip
HOW = ("wait", "wait", "wait", "half", "close", "reset", "slow")
REPEATED = (
    '"k%d":1,', "k%d:1,", "[],", "{},", "'a',", "\\n", "/**/", "- a%d\n", "k%d: 1\n", "a,", "\u00e9", " ", "&a%d x,",
    '{"name":"name","op":"!=","value":"%d"},', "- {name: z%d}\n",
)  # fmt: skip
WRAPS = (
    "{%s}", '{"params":{%s}}', '{"params":{"name":"%s"}}', '{"params":{"userTags":[%s]}}', "zones: [%s]", "zones:\n%s",
    '{"org.zstack.header.storage.backup.APIQueryBackupStorageMsg":{"conditions":[%s]}}', "%s", '{"name":"%s"}', "[%s]",
)  # fmt: skip


@dataclass
class Fuzzer:
    """Draws requests, sends them, and counts the answers."""

    host: str
    port: int
    draw: random.Random
    session: str = ""
    requests: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    known: list[str] = field(default_factory=lambda: ["x"])

    def run(self, seconds: float) -> None:
        """Send for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.requests % 50 == 0:
                self._prepare()
            with suppress(OSError):
                self._send(
                    self._request(), self.draw.choice(("wait", "wait", "wait", "half", "close", "reset", "slow"))
                )

    def _prepare(self) -> None:
        """Log in, and let the lab's clock run."""
        login = json.dumps(BODIES[0]).encode()
        with suppress(OSError, ValueError, KeyError, IndexError):
            answer = self._send(self._message(b"PUT", "/zstack/v1/accounts/login", login, []), "wait")
            self.session = json.loads(answer.partition(b"\r\n\r\n")[2])["inventory"]["uuid"]
        with suppress(OSError):
            self._send(self._message(b"PUT", "/lab/v1/clock", b'{"paused":false,"speed":1}', []), "wait")
            self._send(self._message(b"DELETE", f"/zstack/v1/accounts/sessions/{self.session}", b"", []), "close")
            answer = self._send(self._message(b"PUT", "/zstack/v1/accounts/login", login, []), "wait")
            with suppress(ValueError, KeyError):
                self.session = json.loads(answer.partition(b"\r\n\r\n")[2])["inventory"]["uuid"]
            found = self._send(self._message(b"GET", "/v1/backup-storage?fields=uuid&limit=5", b"", []), "wait")
            self.known = ["x", *(one.decode() for one in re.findall(rb"[0-9a-f]{32}", found))]

    def _request(self) -> bytes:
        draw = self.draw
        method, target = draw.choice(TARGETS)
        target = target.replace("{}", draw.choice(self.known))
        body = self._body()
        headers = draw.sample(HEADERS, draw.choice((0, 0, 0, 1, 2)))
        if draw.random() < 0.2:
            target = self._mutated(target.encode("latin-1", "replace")).decode("latin-1")
        if draw.random() < 0.1:
            target = f"http://{self.host}{target}"
        if draw.random() < 0.1:
            method = draw.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO"))
        message = self._message(method.encode(), target, body, headers)
        return self._mutated(message) if draw.random() < 0.05 else message

    def _message(self, method: bytes, target: str, body: bytes, headers: list[str]) -> bytes:
        lines = [f"Host: {self.host}:{self.port}", "Content-Type: application/json", *headers]
        if not any(one.startswith("Authorization") for one in headers):
            lines.append(f"Authorization: OAuth {self.session}")
        if "Content-Encoding: gzip" in headers and self.draw.random() < 0.8:
            body = gzip.compress(body) if self.draw.random() < 0.5 else zlib.compress(body)
        if "Transfer-Encoding: chunked" in headers:
            body = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (body[:9], body[9:]) if one) + b"0\r\n\r\n"
        elif not any(one.startswith("Content-Length") for one in headers) and (body or method != b"GET"):
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines).encode("latin-1", "replace")
        return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, target.encode("latin-1", "replace"), head, body)

    def _body(self) -> bytes:
        draw = self.draw
        kind = draw.random()
        if kind < 0.03:
            return self._big()
        chosen = draw.choice(BODIES)
        text = chosen if isinstance(chosen, str) else json.dumps(self._with_session(chosen))
        if kind < 0.5:
            return text.encode()
        return self._mutated(text.encode())

    def _with_session(self, body: object) -> object:
        assert isinstance(body, dict)
        return {
            name: value | {"session": {"uuid": self.session}} if name.startswith("org.") else value
            for name, value in body.items()
        }

    def _big(self) -> bytes:
        """Return a body of up to two megabytes that repeats one shape."""
        piece, wrap = self.draw.choice(REPEATED), self.draw.choice(WRAPS)
        count = self.draw.choice((100, 10_000, BIG // (len(piece) + 3)))
        filled = "".join(piece % number if "%d" in piece else piece for number in range(count))
        return (wrap % filled).encode()[:BIG]

    def _mutated(self, data: bytes) -> bytes:
        draw, out = self.draw, bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 5))):
            at = draw.randrange(len(out) + 1)
            how = draw.randrange(5)
            if how == 0 and out:
                out[at % len(out)] = draw.randrange(256)
            elif how == 1:
                del out[at : at + draw.choice((1, 5, 50))]
            elif how == 2:
                out[at:at] = draw.choice(PIECES).encode()
            elif how == 3:
                out[at:at] = out[at : at + draw.choice((5, 50))] * draw.choice((2, 20))
            else:
                out[at:at] = base64.b64encode(draw.randbytes(9))
        return bytes(out)

    def _send(self, request: bytes, how: str) -> bytes:
        """Return the answer, or the part of it that the client stays for."""
        self.requests += 1
        answer = b""
        with socket.create_connection((self.host, self.port), ANSWER_SECONDS) as connection:
            if how == "slow":
                connection.sendall(request[:40])
                time.sleep(0.02)
                connection.sendall(request[40:])
            elif how in ("close", "reset"):
                connection.sendall(request[: self.draw.randrange(len(request) + 1)])
                if how == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return b""
            else:
                connection.sendall(request)
            if how == "half":
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.4)
            with suppress(TimeoutError):
                while chunk := connection.recv(2**16):
                    answer += chunk
                    if b"\r\n\r\n" in answer and how != "half":
                        break
        found = STATUS.findall(answer)
        self.statuses[found[-1].decode() if found else "none"] += 1
        return answer


def main(url: str, seed: str, seconds: str) -> None:
    """Send requests until the time is over, and print the figures."""
    parts = urlsplit(url)
    fuzzer = Fuzzer(str(parts.hostname), int(parts.port or 80), random.Random(int(seed)))
    fuzzer.run(float(seconds))
    print(json.dumps({"requests": fuzzer.requests, "statuses": dict(sorted(fuzzer.statuses.items()))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
