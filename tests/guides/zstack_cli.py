"""Send what zstack-cli sends (clients 1.5), where that is not installed: it needs Python 2.

    python zstack_cli.py URL API name=value ...

Exits with status 3 where the call fails, as zstack-cli does.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

SESSION = Path("session")
COMPARISONS = {"=": "=", "!=": "!=", ">": ">", "<": "<", ">=": ">=", "<=": "<=", "~=": "like", "?=": "in"}
OF_QUERIES = {"limit", "start", "count", "fields", "sortBy", "sortDirection", "replyWithCount"}
LISTS = {"fields", "backupStorageUuids"}


def message(api: str, words: list[str]) -> dict[str, Any]:
    """Return the message of a command line: every value is a text, or a list of texts."""
    body: dict[str, Any] = {"session": {"uuid": SESSION.read_text()} if SESSION.exists() else {}}
    if api.startswith("Query"):
        body["conditions"] = []
    for word in words:
        name, comparison, value = re.fullmatch(r"(\w+)([=!<>~?]+)(.*)", word).groups()  # type: ignore[union-attr]
        if name == "password" and api == "LogInByAccount":
            value = hashlib.sha512(value.encode()).hexdigest()
        if api.startswith("Query") and name not in OF_QUERIES:
            value = f"%{value}%" if comparison == "~=" else value
            body["conditions"].append({"name": name, "op": COMPARISONS[comparison], "value": value})
        else:
            body[name] = value.split(",") if name in LISTS else value
    if api == "LogOut":
        body["sessionUuid"] = body["session"]["uuid"]
    return body


def java_class(url: str, api: str) -> str:
    """Return ZStack's class of a message, which zstack-cli has in a file of its own."""
    with urllib.request.urlopen(f"{url}/openapi.json") as answer:
        [found] = set(re.findall(rf'"javaClass": ?"([\w.]+\.API{api}Msg)"', answer.read().decode()))
    return str(found)


def call(url: str, content: bytes | None = None) -> Any:
    """Return an answer of the legacy API."""
    with urllib.request.urlopen(urllib.request.Request(url, content, {"Connection": "close"})) as answer:
        return json.loads(answer.read())


def main(url: str, api: str, *words: str) -> int:
    """Send one message, poll its result, print it, and return the exit status."""
    try:
        content = {java_class(url, api): message(api, list(words))}
        answer = call(f"{url}/zstack/api/", json.dumps(content).encode())
        while answer["state"] != "Done":
            time.sleep(0.1)
            answer = call(f"{url}/zstack/api/result/{answer['uuid']}")
    except OSError as error:
        print(error)
        return 3
    [reply] = json.loads(answer["result"]).values()
    if not reply["success"]:
        print(reply["error"])
        return 3
    if api == "LogInByAccount":
        SESSION.write_text(reply["inventory"]["uuid"])
    print(json.dumps(reply, indent=4))
    return 0


sys.exit(main(*sys.argv[1:]))
