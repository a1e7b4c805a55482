"""The explorer's snippets in Go and Java compile and run; zstack-cli would send what the page sends (clients 1.5)."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from urllib.request import urlopen

import pytest

from console.snippets import SECRETS, Call, check_all_sent, recorder, snippets
from imagestore_sim.query.conditions import parse_condition
from imagestore_sim.testing.lab_thread import running_lab

pytestmark = pytest.mark.clients
RUN_SECONDS = 300.0
RUN_IN_GO = ("CreateZone", "QueryZone", "LogInByAccount", "postSnapshot")
RUN_IN_JAVA = ("postHosts", "getRequests", "postSnapshot")
TYPES = {
    "string": "String",
    "boolean": "Boolean",
    "array": "java.util.List",
    "object": "java.util.Map",
    "number": "Double",
}
QUERY_FIELDS = {
    "conditions": "java.util.List", "limit": "Integer", "start": "Integer", "count": "Boolean",
    "replyWithCount": "Boolean", "sortBy": "String", "sortDirection": "String", "fields": "java.util.List",
    "filterName": "String",
}  # fmt: skip
QUERY_KEYS = (
    "conditions",
    "count",
    "limit",
    "start",
    "replyWithCount",
    "sortBy",
    "sortDirection",
    "fields",
    "filterName",
)
ENDINGS = (("!?", "not in"), ("!~", "not like"), ("!", "!="), (">", ">="), ("<", "<="), ("?", "in"), ("~", "like"))


@pytest.fixture(scope="module")
def documents() -> Iterator[dict[str, Any]]:
    """Return the documents of both APIs."""
    with running_lab(hosts=1, ping_interval=3600) as running:
        pages = {"zstack": "/openapi.json?unfolded", "lab": "/lab/v1/openapi.json"}
        yield {api: json.load(urlopen(running.lab.url + path)) for api, path in pages.items()}


def run(*command: str, folder: Path, secrets: Mapping[str, str] = SECRETS) -> str:
    """Run a program, and return what it prints."""
    environment = {**os.environ, **secrets}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_go_compiles_and_sends_what_the_page_sends(documents: dict[str, Any], tmp_path: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip("needs Go (1.22 or newer)")
    with recorder() as server:
        calls = snippets(documents, server.url)
        (tmp_path / "go.mod").write_text("module snippets\n\ngo 1.22\n")
        for call in calls:
            (tmp_path / call.name).mkdir()
            (tmp_path / call.name / "main.go").write_text(call.snippets["Go"])
        run("go", "vet", "./...", folder=tmp_path)
        chosen = [call for call in calls if call.name in RUN_IN_GO]
        for call in chosen:
            run("go", "run", f"./{call.name}", folder=tmp_path, secrets=call.environment())
        check_all_sent(chosen, server, "Go")


def test_java_compiles_and_sends_what_the_page_sends(documents: dict[str, Any], tmp_path: Path) -> None:
    if shutil.which("javac") is None:
        pytest.skip("needs a JDK (17 or newer)")
    with recorder() as server:
        calls = snippets(documents, server.url)
        write_sdk(documents["zstack"], calls, tmp_path)
        for call in calls:
            (tmp_path / call.name).mkdir()
            (tmp_path / call.name / "Call.java").write_text(f"package {call.name};\n\n{call.snippets['Java']}")
        programs = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("Call.java")]
        (tmp_path / "programs").write_text("\n".join(programs))
        run("javac", "-encoding", "UTF-8", "-d", "out", "-sourcepath", ".", "@programs", folder=tmp_path)
        chosen = [call for call in calls if call.name in RUN_IN_JAVA]
        for call in chosen:
            run("java", "-cp", "out", f"{call.name}.Call", folder=tmp_path, secrets=call.environment())
        check_all_sent(chosen, server, "Java")


def write_sdk(document: dict[str, Any], calls: list[Call], folder: Path) -> None:
    """Write classes like those of ZStack's SDK: the actions have the fields of the messages, with their Java types."""
    write_class(folder, "com.google.gson.GsonBuilder", GSON)
    write_class(folder, "org.zstack.sdk.ZSClient", "public static void configure(ZSConfig config) {}")
    write_class(folder, "org.zstack.sdk.ZSConfig", CONFIG)
    fields = {one["x-zstack"]["api"]: _fields(document, one) for one in _operations(document)}
    for call in calls:
        action = re.search(r"^import (org\.zstack\.\S+Action);", call.snippets["Java"], re.MULTILINE)
        if action is not None and call.message is not None:
            declared = [f"public {kind} {name};" for name, kind in fields[call.message].items()]
            name = action[1].rpartition(".")[2]
            write_class(folder, action[1], "\n".join([*declared, RESULT.format(name=name)]))


GSON = """public GsonBuilder setPrettyPrinting() { return this; }
public GsonBuilder create() { return this; }
public String toJson(Object value) { return ""; }"""
CONFIG = """public static class Builder {
public Builder setHostname(String name) { return this; }
public Builder setPort(int port) { return this; }
public Builder setContextPath(String path) { return this; }
public ZSConfig build() { return null; }
}"""
RESULT = """public String sessionId;
public static class Result {{ public Object value; public Result throwExceptionIfError() {{ return this; }} }}
public Result call() {{ return new Result(); }}"""


def write_class(folder: Path, name: str, body: str) -> None:
    """Write a Java class."""
    package, _, simple = name.rpartition(".")
    file = folder / Path(*package.split(".")) / f"{simple}.java"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"package {package};\npublic class {simple} {{\n{body}\n}}\n")


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from (one for one in methods.values() if isinstance(one, dict) and "api" in one.get("x-zstack", {}))


def _fields(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, str]:
    facts = operation["x-zstack"]
    if "query" in facts:
        return QUERY_FIELDS
    parameters = [_resolved(document, one) for one in operation["parameters"]]
    found = {one["name"]: one["schema"] for one in parameters if one["in"] != "header"}
    if "requestBody" in operation:
        body = _resolved(document, operation["requestBody"]["content"]["application/json"]["schema"])["properties"]
        found |= {name: schema for name, schema in body.items() if name != facts["bodyKey"]}
        found |= _resolved(document, body[facts["bodyKey"]])["properties"]
    return {name: _java_type(_resolved(document, schema)) for name, schema in found.items()}


def _resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def _java_type(schema: dict[str, Any]) -> str:
    if schema.get("type") == "integer":
        return "Long" if schema.get("format") == "int64" else "Integer"
    return TYPES.get(str(schema.get("type", "string")), "Object")


def test_zstack_cli_sends_what_the_page_sends(documents: dict[str, Any]) -> None:
    for call in snippets(documents, "http://127.0.0.1:8080"):
        lines = [
            line for line in call.snippets["zstack-cli"].splitlines() if "LogInByAccount accountName=admin" not in line
        ]
        if call.message is None:
            assert lines[0].startswith("# zstack-cli"), call.name
            continue
        words = shlex.split(_without_variables(call, "\n".join(lines)))
        assert words[:6] == ["zstack-cli", "-H", "127.0.0.1", "-p", "8080", call.message.removeprefix("API")[:-3]]
        if call.message.startswith("APIQuery"):
            assert _query_fields(words[6:]) == _expected_query(call), call.name
        else:
            assert _fields_of(words[6:]) == _expected_fields(call), call.name


def _without_variables(call: Call, text: str) -> str:
    """Put the values of variables into a command, as the shell does; zstack-cli hashes passwords itself."""
    for name, value in call.environment().items():
        text = text.replace(f'"${name}"', shlex.quote(value))
        text = text.replace(f'"$(printf %s {shlex.quote(value)} | sha512sum | cut -c 1-128)"', "HASH")
    return text


def _fields_of(words: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words)


def _expected_fields(call: Call) -> dict[str, str]:
    """Return the fields of the message, as texts."""
    given: dict[str, Any] = {}
    for name, value in call.request["query"]:
        given[name] = value if name not in given else [*_list(given[name]), value]
    for inner in (call.request["body"] or {}).values():
        given |= inner if isinstance(inner, dict) else {}
    given |= {name: value for name, value in (call.request["body"] or {}).items() if name in ("systemTags", "userTags")}
    shown = _fields_of(shlex.split(_without_variables(call, call.snippets["zstack-cli"].splitlines()[-1]))[6:])
    path = unquote(call.request["path"])
    variables = {name: value for name, value in shown.items() if name not in given and f"/{value}" in path}
    return variables | {name: _as_word(name, value, shown) for name, value in given.items()}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _as_word(name: str, value: Any, shown: Mapping[str, str]) -> str:
    """Return a value as the shell passes it; lists and objects as they are, if zstack-cli reads the same in them."""
    text = shown[name]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        assert next(csv.reader([text], escapechar="\\")) == value
        return text
    if isinstance(value, (list, dict)):
        assert ast.literal_eval(text) == value
        return text
    if name == "password":
        return text
    return value if isinstance(value, str) else json.dumps(value)


def _query_fields(words: list[str]) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Read the words of a query as zstack-cli does."""
    conditions: list[dict[str, str]] = []
    others: dict[str, str] = {}
    for word in words:
        key, value = word.split("=", 1)
        if key == "conditions":
            conditions += ast.literal_eval(value)
        elif key in QUERY_KEYS:
            others[key] = value
        else:
            conditions.append(_condition(key, value))
    return conditions, others


def _condition(key: str, value: str) -> dict[str, str]:
    if value == "null" and not key.endswith(("~", "?", ">", "<")):
        return {"name": key.rstrip("!"), "op": "is not null" if key.endswith("!") else "is null"}
    for ending, operator in ENDINGS:
        if key.endswith(ending):
            like = operator.endswith("like") and "%" not in value and "_" not in value
            return {"name": key.removesuffix(ending), "op": operator, "value": f"%{value}%" if like else value}
    return {"name": key, "op": "=", "value": value}


def _expected_query(call: Call) -> tuple[list[dict[str, str]], dict[str, str]]:
    conditions: list[dict[str, str]] = []
    others: dict[str, str] = {}
    if call.request["path"].count("/") > 3 and "it%27s" in call.request["path"].replace("'", "%27"):
        conditions.append({"name": "uuid", "op": "=", "value": unquote(call.request["path"].rpartition("/")[2])})
    for name, value in call.request["query"]:
        if name == "q":
            read = parse_condition(value)
            condition = {"name": read.name, "op": str(read.operator.value)}
            conditions.append(condition if condition["op"].endswith("null") else condition | {"value": read.value})
        elif name == "sort":
            others |= {"sortBy": value.lstrip("+-"), "sortDirection": "desc" if value.startswith("-") else "asc"}
        else:
            others[name] = value
    return conditions, others
