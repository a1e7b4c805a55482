"""Environment variables: each has one meaning, and a command ignores those of others."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import typer

from imagestore_sim.cli import explore, openapi, running, schema
from imagestore_sim.cli import replay as replaying
from imagestore_sim.cli.app import COMMANDS, app
from imagestore_sim.cli.program import new_app
from imagestore_sim.explore.searching import Progress
from processes import run_here

pytestmark = pytest.mark.processes

SCENARIO = Path(__file__).parent.parent.parent / "scenarios" / "one-lost-ping.yaml"
PREFIX = "IMAGESTORE_SIM_"
VALUES = {
    "ACCESS_KEY": ("key",),
    "ACCESS_SECRET": ("secret",),
    "ACCOUNT": ("somebody",),
    "ACCOUNT_PASSWORD": ("secret",),
    "ADVERTISE": ("mn-1.example", "10.0.0.1:8080"),
    "ALLOWED_HOST": ("lab.example,*.svc.cluster.local",),
    "BOOTSTRAP": ("records.yaml",),
    "CLOCK": ("real", "paused", "2030-01-01T00:00:00Z"),
    "COMPARE_OUT": ("answers",),
    "CONFIG": ("settings.yaml",),
    "EXPLORE_FOR": ("10m",),
    "EXPLORE_FROM": ("good.yaml",),
    "EXPLORE_SEED": ("0", "4"),
    "FOUND": ("found",),
    "DATABASE": ("lab.db", "/var/lib/lab/node.db", "mariadb://user:password@host/name"),
    "EXPLORE_CLIENT": ("true",),
    "FAULT": ("answer_lost api=Add* first=1",),
    "FOR": ("10m",),
    "FROM": ("127.7.0.1",),
    "GROUP": ("zone",),
    "HOST": ("0.0.0.0", "::"),
    "HOSTS": ("0", "5", "200"),
    "HOSTS_FILE": ("fleet.hosts",),
    "HOST_HOSTS_FILE": ("fleet.hosts",),
    "HOST_INVENTORY": ("fleet.yaml", "-"),
    "IDENTITY_FILE": ("id",),
    "KNOWN_HOSTS": ("known_hosts",),
    "LAB_TOKEN": ("token",),
    "NODE": ("http://127.0.0.1:1",),
    "OUT": ("out.yaml",),
    "PASSWORD": ("host-password",),
    "PROBE_MODULES": ("modules.yaml",),
    "PROJECT": ("lab",),
    "RECORD_DATABASE": ("old.db",),
    "REPORT": ("report",),
    "SEED": ("0", "4"),
    "SINCE": ("2h", "2026-01-01 00:00:00"),
    "SSH_CONFIG": ("config",),
    "UNTIL": ("1h",),
    "USERNAME": ("someone",),
    "VAULT_KEY": ("bWFkZS11cC1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=",),
    "VAULT_KEY_FILE": ("vault.key",),
    "WAIT": ("60", "2m"),
}
"""Values of the options that take neither a number, nor a switch, nor one of a few words."""
BY_TYPE: dict[Any, tuple[str, ...]] = {bool: ("true", "false"), int: ("1", "9"), float: ("1", "3.5")}
TOGETHER = {"ACCESS_KEY": "ACCESS_SECRET"}
"""Variables of which the first one alone has `compare` ask for the second."""
RUNS: dict[str, tuple[tuple[str, ...], ...]] = {
    "lab": ((),),
    "serve": ((),),
    "host": ((),),
    "chaos": ((),),
    "probe": (("h", "--url", "/"), ("h", "--agent")),
    "ready": ((), ("http://127.0.0.1:8080",)),
    "load": (("more.yaml",),),
    "explore": (("--runs", "1"), ("--seed", "1")),
    "replay": (("good.yaml",), ("good.yaml", "--hosts", "compose"), ("good.yaml", "--node", "http://127.0.0.1:1")),
    "record": (("http://127.0.0.1:1", "--out", "x.yaml"), ("--database", "old.db", "--out", "x.yaml")),
    "compare": (("http://127.0.0.1:1", "--password", "password"),),
    "openapi": ((), ("--lab",), ("--unfolded",)),
    "schema": (("scenario",),),
    "compose-file": ((),),
}
"""The ways to use each command, with what it cannot do without."""


def options() -> Iterator[tuple[str, typer.core.TyperOption]]:
    """Every option that a variable can give, with its command."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    for name, one in group.commands.items():
        for parameter in one.params:
            if isinstance(parameter, typer.core.TyperOption) and parameter.envvar:
                yield name, parameter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "settings.yaml").write_text("hosts: 2\n")
    (tmp_path / "good.yaml").write_text(SCENARIO.read_text())
    return tmp_path


def kind(option: typer.core.TyperOption) -> Any:
    """Return the type of an option's value."""
    return option.type_descriptor.annotation


def words_of(option: typer.core.TyperOption) -> tuple[str, ...]:
    """Return the words that a shell offers for an option's value."""
    return tuple(str(one.value) for one in option.shell_complete(mock.Mock(), ""))


def values() -> dict[str, tuple[str, ...]]:
    """Return good values of each variable that there is: every one that a command takes which reads it."""
    found: dict[str, tuple[str, ...]] = {}
    for _, option in options():
        variable = str(option.envvar)
        own = VALUES.get(variable.removeprefix(PREFIX), ()) or words_of(option) or BY_TYPE.get(kind(option), ())
        assert own, f"{variable}: expected values for it in VALUES"
        found[variable] = tuple(dict.fromkeys((*found.get(variable, ()), *own)))
    return found


class OneCommand:
    """A command of the console script, which does its work no more, and can be called again and again."""

    def __init__(self, name: str) -> None:
        function = next(one for one in COMMANDS if one.__name__.replace("_", "-") == name)
        self._group = typer.main.get_command(new_app([function]))
        self._name = name

    def __call__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> tuple[int, str]:
        """Return the exit status, and the text of an error."""
        errors = io.StringIO()
        with (
            mock.patch.dict(os.environ, environment),
            mock.patch.object(running, "run", return_value=0),
            mock.patch.object(replaying, "run_replay", return_value=0),
            mock.patch.object(explore, "_around", return_value=None),
            mock.patch.object(explore, "_search", return_value=explore._Ended(Progress())),
            mock.patch.object(schema, "schema_text", return_value=""),
            mock.patch.object(openapi, "_of_zstack", return_value={}),
            mock.patch("imagestore_sim.cli.ready.wait_until_ready", return_value=None),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(errors),
            pytest.raises(SystemExit) as ended,
        ):
            self._group.main([self._name, *arguments], prog_name="imagestore-sim")
        return int(ended.value.code or 0), errors.getvalue()


def test_every_variable_of_the_table_is_one() -> None:
    assert {f"{PREFIX}{name}" for name in VALUES} <= set(values())


def test_every_command_is_tried() -> None:
    assert RUNS.keys() == {one.__name__.replace("_", "-") for one in COMMANDS}


def test_one_variable_has_one_meaning() -> None:
    meanings: dict[str, set[tuple[object, ...]]] = {}
    for _, option in options():
        meanings.setdefault(str(option.envvar), set()).add((option.name, kind(option), words_of(option)))
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}


def test_the_address_of_a_service_with_our_name_is_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes gives it to every container of a namespace that has a service `imagestore-sim`."""
    monkeypatch.setenv("IMAGESTORE_SIM_PORT", "tcp://10.96.0.7:8080")
    for name in ("lab", "serve", "host", "chaos"):
        assert OneCommand(name)((), {}) == (0, "")


@pytest.mark.parametrize("name", RUNS)
def test_no_value_of_a_variable_that_one_command_takes_breaks_another(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Try each variable alone, since two may hide each other, and all of other commands, since two may collide."""
    monkeypatch.chdir(folder)
    own = {str(option.envvar) for command, option in options() if command == name}
    everything = values()
    tries = [{variable: value} for variable, of_it in everything.items() for value in of_it]
    for one in tries:
        one.update({PREFIX + second: "x" for first, second in TOGETHER.items() if PREFIX + first in one})
    tries += [{variable: of_it[-1] for variable, of_it in everything.items() if variable not in own}]
    command = OneCommand(name)
    broken = {}
    for arguments in RUNS[name]:
        for environment in tries:
            status, errors = command(arguments, environment)
            if status != 0:
                broken[(*arguments, *(f"{one}={value}" for one, value in environment.items()))] = errors
    assert broken == {}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HOSTS": "9", "SEED": "1", "DATABASE": "x.db"}, ("virtual", None, None, False)),
        ({"REPLAY_SEED": "5"}, ("virtual", 5, None, False)),
        ({"REPLAY_HOSTS": "compose"}, ("real", None, None, True)),
        ({"NODE": "http://h"}, ("virtual", None, "http://h", False)),
        ({"NODE": "http://h", "REPLAY_SEED": "5", "CLOCK": "real", "SPEED": "2"}, ("virtual", None, "http://h", False)),
    ],
)
def test_replay_takes_what_is_meant_for_it(
    folder: Path, environment: dict[str, str], expected: tuple[str, int | None, str | None, bool]
) -> None:
    with mock.patch.object(replaying, "run_replay", return_value=0) as played:
        variables = {f"IMAGESTORE_SIM_{name}": value for name, value in environment.items()}
        finished = run_here("replay", "good.yaml", cwd=folder, **variables)
    assert finished.status == 0, finished.errors
    chosen = played.call_args.args[1]
    assert (chosen.clock, chosen.seed, chosen.node, chosen.on_containers) == expected


@pytest.mark.parametrize(
    ("arguments", "variable", "value", "complaint"),
    [
        (("lab",), "PORT", "abc", "--port (IMAGESTORE_SIM_PORT): expected a whole number, but got 'abc'"),
        (("lab",), "PORT", "99999", "--port (IMAGESTORE_SIM_PORT): expected 65535 or less"),
        (("lab",), "STRICT", "perhaps", "IMAGESTORE_SIM_STRICT"),
        (("serve",), "HOST_KEYS", "hope", "--host-keys (IMAGESTORE_SIM_HOST_KEYS): expected ignore, "),
        (("replay", "good.yaml"), "REPLAY_HOSTS", "3", "--hosts: expected embedded or compose, but got '3'"),
        (("replay", "good.yaml"), "JOBS", "0", "IMAGESTORE_SIM_JOBS"),
        (("record", "--out", "x.yaml"), "RECORD_DATABASE", "nosuch.db", "nosuch.db"),
        (("host",), "SIZE", "0", "IMAGESTORE_SIM_SIZE"),
    ],
)
def test_a_bad_value_names_the_variable_in_one_line(
    folder: Path, arguments: tuple[str, ...], variable: str, value: str, complaint: str
) -> None:
    finished = run_here(*arguments, cwd=folder, **{f"IMAGESTORE_SIM_{variable}": value})
    assert (finished.status, finished.output, finished.errors.count("\n")) == (2, "", 1), finished
    assert complaint in finished.errors
    assert finished.errors.startswith("imagestore-sim: ")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hosts: 2\nprot: 1\n", "settings.yaml, line 2: prot: there is no such setting; expected advertise, "),
        ("hosts: 2\n\nport: x\n", "settings.yaml, line 3: port: expected a whole number"),
        ("hosts: 2\nport: 99999\n", "settings.yaml, line 2: port: expected 65535 or less"),
        ("{hosts: 2,\n host_keys: hope}\n", "settings.yaml, line 2: host_keys: expected ignore, tofu or "),
        ("hosts: [\n", "settings.yaml: not valid YAML: while parsing a flow node, "),
    ],
)
def test_a_bad_line_of_a_settings_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    finished = run_here("serve", "--config", "settings.yaml", cwd=tmp_path)
    assert (finished.status, finished.output, finished.errors.count("\n")) == (2, "", 1), finished
    assert complaint in finished.errors
