"""Environment variables: each has one meaning, and a command ignores those of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import typer

from imagestore_sim.cli import replay as replaying
from imagestore_sim.cli import running
from imagestore_sim.cli.app import app
from processes import run_here

pytestmark = pytest.mark.processes

SCENARIO = Path(__file__).parent.parent.parent / "scenarios" / "one-lost-ping.yaml"
VALUES = {
    "ACCOUNT": "somebody",
    "ACCOUNT_PASSWORD": "secret",
    "ANY_HOST": "false",
    "BOOTSTRAP": "records.yaml",
    "CLOCK": "real",
    "CONFIG": "settings.yaml",
    "DATABASE": "lab.db",
    "FOR": "10m",
    "HOST": "0.0.0.0",
    "HOSTS": "7",
    "HOST_KEYS": "tofu",
    "IDENTITY_FILE": "id",
    "JOBS": "2",
    "KEEP": "false",
    "KNOWN_HOSTS": "known_hosts",
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "debug",
    "NODE": "http://127.0.0.1:1",
    "OUT": "out.yaml",
    "PASSWORD": "host-password",
    "PING_INTERVAL": "9",
    "PING_MODE": "ssh",
    "PORT": "8089",
    "PROBE_CONNECTION": "fresh",
    "PROJECT": "lab",
    "READ_ONLY_HOSTS": "true",
    "RECORD_DATABASE": "old.db",
    "REPLAY_HOSTS": "compose",
    "REPLAY_SEED": "5",
    "REPORT": "report",
    "SEED": "4",
    "SINCE": "2h",
    "SIZE": "1000000",
    "SPEED": "3",
    "SSH_CONFIG": "config",
    "STRICT": "true",
    "UNTIL": "1h",
    "USED": "10",
    "USERNAME": "someone",
    "WAIT": "3",
    "ZSTACK": "4.8",
}
"""A value that the command takes which the variable is meant for; one that is not here gets one of its type."""
BY_TYPE = {bool: "true", int: "1", float: "1"}
COMMANDS = {
    "lab": (),
    "serve": (),
    "host": (),
    "chaos": (),
    "probe": ("h", "--url", "/"),
    "ready": (),
    "load": ("more.yaml",),
    "replay": ("good.yaml",),
    "record": ("http://127.0.0.1:1", "--out", "x.yaml"),
}


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


def values() -> dict[str, str]:
    """Return a good value for each variable that there is."""
    named = {f"IMAGESTORE_SIM_{name}": value for name, value in VALUES.items()}
    return {str(one.envvar): named.get(str(one.envvar), BY_TYPE.get(kind(one), "localhost")) for _, one in options()}


def test_every_variable_of_the_table_is_one() -> None:
    assert {f"IMAGESTORE_SIM_{name}" for name in VALUES} <= set(values())


def test_one_variable_has_one_meaning() -> None:
    kinds: dict[str, set[tuple[str, object]]] = {}
    for _, option in options():
        kinds.setdefault(str(option.envvar), set()).add((str(option.name), kind(option)))
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ignores_every_variable_that_is_meant_for_another(name: str, folder: Path) -> None:
    own = {str(option.envvar) for command, option in options() if command == name}
    everything = values()
    foreign = {one: value for one, value in everything.items() if one not in own}
    # Each by itself, since two may hide each other; all, since two may collide.
    tries = [{one: value} for one, value in everything.items() if not (name == "replay" and one in own)]
    for environment in (*tries, foreign):
        with (
            mock.patch.object(running, "run", return_value=0),
            mock.patch.object(replaying, "run_replay", return_value=0),
            mock.patch("imagestore_sim.cli.ready.wait_until_ready", return_value=None),
        ):
            finished = run_here(name, *COMMANDS[name], cwd=folder, **environment)
        assert finished.status == 0, (environment, finished.errors)


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
        (("lab",), "PORT", "abc", "IMAGESTORE_SIM_PORT"),
        (("lab",), "PORT", "99999", "--port (IMAGESTORE_SIM_PORT): Input should be less than or equal to 65535"),
        (("lab",), "STRICT", "perhaps", "IMAGESTORE_SIM_STRICT"),
        (("serve",), "HOST_KEYS", "hope", "--host-keys (IMAGESTORE_SIM_HOST_KEYS): Input should be 'ignore', "),
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
        ("hosts: 2\nprot: 1\n", "settings.yaml, line 2: prot: there is no such setting; expected allowed_host, "),
        ("hosts: 2\n\nport: x\n", "settings.yaml, line 3: port: Input should be a valid integer"),
        ("hosts: 2\nport: 99999\n", "settings.yaml, line 2: port: Input should be less than or equal to 65535"),
        ("{hosts: 2,\n host_keys: hope}\n", "settings.yaml, line 2: host_keys: Input should be 'ignore', 'tofu' or "),
        ("hosts: [\n", "settings.yaml: not valid YAML: while parsing a flow node, expected the node content"),
    ],
)
def test_a_bad_line_of_a_settings_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    finished = run_here("serve", "--config", "settings.yaml", cwd=tmp_path)
    assert (finished.status, finished.output, finished.errors.count("\n")) == (2, "", 1), finished
    assert complaint in finished.errors
