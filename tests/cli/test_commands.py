"""The commands: what they print, how they stop, and how they report invalid input."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from pathlib import Path

import pytest
import typer

from imagestore_sim import __version__
from imagestore_sim.cli.app import app
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from processes import Finished, Running, run, run_here, running

pytestmark = pytest.mark.processes


async def test_the_version_is_shown() -> None:
    assert (await run("--version")).output == f"imagestore-sim {__version__}\n"


async def test_the_lab_is_ready_with_connected_storages_and_stops_within_two_seconds(tmp_path: Path) -> None:
    async with running("lab", "--port", "0", cwd=tmp_path) as lab:
        async with Client(lab.url) as client:
            await client.log_in()
            storages = await client.query("/backup-storage/image-store")
            assert [storage["status"] for storage in storages] == ["Connected"] * 3
        took = [await _seconds_to_stop(lab)]
    while min(took) >= 2 and len(took) < 9:  # the machine may have had other things to do, but hardly each time
        async with running("lab", "--port", "0", cwd=tmp_path) as lab:
            took.append(await _seconds_to_stop(lab))
    assert min(took) < 2
    assert list(tmp_path.iterdir()) == []


async def _seconds_to_stop(lab: Running) -> float:
    began = time.monotonic()
    assert await lab.stop(signal.SIGINT) == 0
    return time.monotonic() - began


async def test_a_lab_with_a_database_keeps_its_records(tmp_path: Path) -> None:
    arguments = ("lab", "--port", "0", "--database", "lab.db")
    async with running(*arguments, cwd=tmp_path) as lab:
        async with Client(lab.url) as client:
            await client.log_in()
            await client.add_image_store("172.24.189.211", url="/kept")
        assert await lab.stop() == 0
    async with running(*arguments, cwd=tmp_path) as lab:
        async with Client(lab.url) as client:
            await client.log_in()
            storages = await client.query("/backup-storage/image-store")
            assert {storage["hostname"] for storage in storages} >= {"172.24.189.211", "imagestore-1"}
            assert {storage["status"] for storage in storages} == {"Connected"}
        assert await lab.stop() == 0


async def test_a_lab_prints_plain_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    async with running("lab", "--port", "0", "--hosts", "1", cwd=tmp_path) as lab:
        assert lab.process.stdout is not None
        line = (await asyncio.wait_for(lab.process.stdout.readline(), 60)).decode()
    assert line.startswith("imagestore-1 imagestore-1:22 Connected, ")


async def test_a_host_of_its_own_is_probed_by_hand(tmp_path: Path) -> None:
    arguments = ("host", "--port", "0", "--size", "1000000000000", "--used", "400000000000")
    async with running(*arguments, cwd=tmp_path) as host:
        target = host.url.replace("ssh://", "root@")
        good = await run("probe", target, "--url", "/", "--password", "password", "--json")
        bad, missing = await asyncio.to_thread(_probe_in_vain, target)
        assert await host.stop() == 0
    found = json.loads(good.output)
    assert good.status == 0
    assert list(found) == ["total", "available", "inodes", "readOnly", "method", "phases"]
    assert found["method"] == "statvfs"
    assert abs(found["total"] - 10**12) < 4096
    assert abs(found["available"] - 6 * 10**11) < 8192
    assert bad.status == 1
    assert list(json.loads(bad.output)) == ["reason", "message", "phases"]
    assert json.loads(bad.output)["reason"] == "auth_failed"
    assert missing.status == 1
    assert missing.output.startswith("no_such_path: ")
    assert "what to do: " in missing.output


def _probe_in_vain(target: str) -> tuple[Finished, Finished]:
    return (
        run_here("probe", target, "--url", "/", "--password", "wrong", "--json"),
        run_here("probe", target, "--url", "/nosuch", IMAGESTORE_SIM_PASSWORD="password"),
    )


async def test_the_agent_of_a_host_is_probed_by_hand(tmp_path: Path) -> None:
    async with running("host", "--port", "0", "--agent-port", "0", cwd=tmp_path) as host:
        assert host.process.stdout is not None
        line = (await asyncio.wait_for(host.process.stdout.readline(), 60)).decode()
        target = line.removeprefix("agent https://").strip()
        good = await run("probe", target, "--agent", "--json")
        no_agent = await run("probe", host.url.removeprefix("ssh://"), "--agent")
        assert await host.stop() == 0
    assert (good.status, json.loads(good.output)["mode"]) == (0, "agent"), good.output
    assert no_agent.status == 1
    assert no_agent.output.startswith(f"agent_down: {host.url.removeprefix('ssh://')}: ")


async def test_serve_answers_health_and_logs_json(tmp_path: Path) -> None:
    arguments = ("serve", "--port", "0", "--log-format", "json", "--log-level", "debug")
    async with running(*arguments, cwd=tmp_path) as node:
        async with Client(node.url) as client:
            assert (await client.request("GET", f"{node.url}/readyz")).status == 200
        assert await node.stop() == 0
    assert {file.name for file in tmp_path.iterdir()} >= {"imagestore-sim.db", "imagestore-sim.db.key"}
    assert (tmp_path / "imagestore-sim.db.key").stat().st_mode & 0o777 == 0o600


async def test_options_come_from_the_environment_and_from_a_file_in_that_order(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("hosts: 2\nport: 1\n")
    environment = {"IMAGESTORE_SIM_PORT": "0", "IMAGESTORE_SIM_CONFIG": "settings.yaml"}
    async with running("lab", cwd=tmp_path, **environment) as lab, Client(lab.url) as client:
        await client.log_in()
        assert len(await client.query("/backup-storage")) == 2


def _settings_file(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "settings.yaml").write_text(text)
    return ["serve", "--config", "settings.yaml"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["dance"], "No such command 'dance'"),
        (["serve", "--prot", "1"], "No such option: --prot"),
        (["serve", "--port", "http"], "imagestore-sim: --port: expected a whole number, but got 'http'"),
        (["lab", "--hosts", "many"], "imagestore-sim: --hosts: expected a whole number, but got 'many'"),
        (["replay", "disk-fills-up", "--speed", "fast"], "imagestore-sim: --speed: expected a number, but got 'fast'"),
        (["lab", "--clock", "noon"], "'noon' is no time with an offset, such as 2024-01-01T08:00:00Z"),
        (["serve", "--port", "70000"], "--port: expected 65535 or less, but it is 70000"),
        (
            ["serve", "--port", "0", "--ping-interval", "0"],
            "--ping-interval: expected 1 or more",
        ),
        (
            ["serve", "--port", "0", "--log-level", "loud"],
            "--log-level: expected debug, info, warning or error",
        ),
        (
            ["serve", "--port", "0", "--bootstrap", "nosuch.yaml"],
            "nosuch.yaml: cannot be read: No such file or directory",
        ),
        (["serve", "--config", "nosuch.yaml"], "nosuch.yaml: there is no such file to read settings from"),
        (["serve", "--port", "0", "--identity-file", "nosuch"], "nosuch"),
        (["lab", "--port", "0", "--identity-file", "nosuch"], "nosuch"),
        (["serve", "--port", "0", "--ssh-config", "nosuch"], "SSH configuration nosuch: No such file"),
        (["probe", "h", "--url", "/", "--ssh-config", "nosuch"], "SSH configuration nosuch: No such file"),
        (["probe", "h", "--url", "/", "--host-keys", "hope"], "--host-keys"),
        (["serve", "--port", "0", "--database", "."], ": is a directory, give the path of a file in it"),
        (
            ["serve", "--port", "0", "--database", "/nosuch/folder/x.db"],
            "there is no folder /nosuch/folder to keep it in",
        ),
        (["lab", "--hosts", "-1"], "--hosts: expected 0 or more"),
        (["host", "--used", "2", "--size", "1"], "--used 2 is more than --size 1"),
        (["probe", "a@b@c", "--url", "/"], "a@b@c is not [user@]host[:port]"),
        (["probe", "h:70000", "--url", "/"], "70000 is no port"),
        (["probe", "h", "--url", "relative"], "--url: relative is not an absolute path"),
        (["probe", "h"], "--url is required"),
        (["probe", "h", "--agent", "--url", "/"], "--url: is not used with --agent"),
        (["serve", "--port", "0", "--ping-mode", "icmp"], "--ping-mode"),
    ],
)
def test_bad_input_is_one_clear_complaint_and_status_2(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    finished = run_here(*arguments, cwd=tmp_path)
    assert finished.status == 2
    assert complaint in " ".join(finished.errors.replace("│", " ").split())
    assert "Traceback" not in finished.errors
    assert finished.output == ""


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["record", "http://127.0.0.1:1"], "--out"),
        (["load"], "FILE"),
        (["compare"], "URL"),
        (["schema"], "scenario|bootstrap|config|probe-modules"),
        (["probe", "h"], "--url"),
    ],
)
def test_a_missing_argument_or_option_is_named_as_required(arguments: list[str], missing: str) -> None:
    finished = run_here(*arguments)
    assert (finished.status, finished.errors) == (2, f"imagestore-sim: {missing} is required\n")


@pytest.mark.parametrize(
    "arguments",
    [["dance"], ["serve", "--port", "0", "--bootstrap", "nosuch.yaml"], ["probe", "h", "--url", "relative"]],
)
def test_a_process_complains_as_the_command_does_here(tmp_path: Path, arguments: list[str]) -> None:
    finished = asyncio.run(run(*arguments, cwd=tmp_path))
    assert finished.status == 2
    assert finished == run_here(*arguments, cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("prot: 1\n", "settings.yaml, line 1: prot: there is no such setting"),
        ("port: [\n", "settings.yaml: not valid YAML"),
    ],
)
def test_a_bad_settings_file_is_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    finished = run_here(*_settings_file(tmp_path, text), cwd=tmp_path)
    assert (finished.status, finished.output) == (2, "")
    assert complaint in finished.errors


@pytest.mark.parametrize(
    ("arguments", "option"), [(["serve"], "--port"), (["host", "--port", "0"], "--agent-port")], ids=["serve", "host"]
)
async def test_a_port_in_use_is_reported_and_nothing_is_left_behind(
    tmp_path: Path, arguments: list[str], option: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = await run(*arguments, option, str(port), cwd=tmp_path)
    assert finished.status == 2
    assert f"port {port} on 127.0.0.1 is in use; choose another with {option}," in finished.errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("answer_lost api=Nope* first=1", "fault answer_lost: when.api: no API is called 'Nope*'"),
        ("latency delay=-1s", "fault latency: delay: '-1s' is no duration"),
    ],
)
async def test_a_fault_that_is_not_possible_is_one_line(fault: str, text: str) -> None:
    finished = await run("lab", "--hosts", "0", "--port", "0", "--fault", fault)
    assert (finished.status, finished.output, finished.errors.count("\n")) == (2, "", 1)
    assert finished.errors.startswith(f"imagestore-sim: {text}")


async def test_faults_on_containers_need_an_engine(tmp_path: Path) -> None:
    pytest.importorskip("aiodocker", reason="needs the extra `compose`")
    finished = await run("chaos", "--port", "0", DOCKER_HOST=f"unix://{tmp_path}/no.sock")
    assert (finished.status, finished.output) == (2, "")
    assert finished.errors.startswith("imagestore-sim: chaos needs a Docker engine, and none answers: ")


@pytest.mark.parametrize("command", ["lab", "serve", "host"])
def test_every_option_has_a_settings_field_or_is_the_command_s_own(command: str) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    own = {"config", "context", "name", "username", "password", "size", "used", "agent_port", "env", "shell", "kill"}
    own |= {"count", "first", "inventory", "hosts_out", "lab_port", "port_each"}
    for parameter in group.commands[command].params:
        assert parameter.name in Settings.model_fields.keys() | own
        if parameter.name in Settings.model_fields and parameter.param_type_name == "option":
            name = "SSH_PORT" if (command, parameter.name) == ("host", "port") else parameter.name.upper()
            assert parameter.envvar == f"IMAGESTORE_SIM_{name}"


@pytest.mark.parametrize(
    ("options", "seconds"),
    [((), 5), (("--strict",), None), (("--strict", "--ping-interval", "7"), 7), (("--ping-interval", "7"), 7)],
)
def test_a_lab_pings_often_but_a_strict_one_as_zstack_does(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], seconds: int | None
) -> None:
    asked: list[Settings] = []

    async def run_lab(settings: Settings, *, in_background: bool) -> int:
        assert not in_background
        asked.append(settings)
        return 0

    monkeypatch.setattr("imagestore_sim.cli.lab.run_lab", run_lab)
    assert run_here("lab", *options).status == 0
    assert [one.ping_interval for one in asked] == [seconds]
