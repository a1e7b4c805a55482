"""The chart under deploy/helm: what it renders is what Kubernetes, the commands and the nodes take."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from deploy.helm import CHART, EXAMPLES, NEWEST, OLDEST, Helm, containers, find_helm, one_of, variables
from imagestore_sim import __version__
from imagestore_sim.bootstrap import read_bootstrap
from imagestore_sim.database.vault import Vault
from imagestore_sim.host_names import AllowedHosts
from imagestore_sim.testing import Client
from processes import child, program, running
from rows import rows

HERE = Path(__file__).parent
EXAMPLE_NAMES = [None, *sorted(one.stem for one in EXAMPLES.glob("*.yaml"))]
RECORDS = "/etc/imagestore-sim/records"
SECONDS = 300.0


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return find_helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def rendered(helm: Helm) -> dict[str | None, list[dict[str, Any]]]:
    """Return the objects of each example; None are the defaults."""
    return {name: helm.render(values=name) for name in EXAMPLE_NAMES}


def test_the_chart_has_the_version_of_the_program_and_its_page_names_every_value() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    page = (CHART / "README.md").read_text()
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    names = {name for top, below in values.items() for name in (top, *(below if isinstance(below, dict) else ()))}
    assert {name for name in names if not re.search(rf"\b{name}\b", page)} == set()


@pytest.mark.clients
def test_lint_finds_nothing(helm: Helm) -> None:
    for name in EXAMPLE_NAMES:
        values = [] if name is None else ["--values", str(EXAMPLES / f"{name}.yaml")]
        finished = helm.run("lint", "--strict", str(CHART), *values)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert "[WARNING]" not in finished.stdout


@pytest.mark.clients
def test_every_object_fits_the_schemas_of_kubernetes(
    rendered: dict[str | None, list[dict[str, Any]]], tmp_path: Path
) -> None:
    validate = _kubernetes_validate(tmp_path)
    monitor = Draft202012Validator(json.loads((HERE / "service_monitor.json").read_text()))
    files = []
    for name, objects in rendered.items():
        known = [one for one in objects if one["kind"] != "ServiceMonitor"]
        for one in objects:
            if one not in known:
                monitor.validate(one)
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(yaml.safe_dump_all(known))
    assert one_of(rendered["monitored"], "ServiceMonitor", "r-imagestore-sim")
    for version in (OLDEST, NEWEST):
        command = [validate, "--strict", "-k", version, *map(str, files)]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        told = finished.stdout + finished.stderr
        assert (finished.returncode, "WARN" in told or "ERROR" in told) == (0, False), told
        assert told.count(" passed ") == sum(len(list(yaml.safe_load_all(one.read_text()))) for one in files)


def _kubernetes_validate(folder: Path) -> str:
    """Return the program, installed into an environment of its own. Skip the test without a package index."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, timeout=SECONDS)
    install = f"{folder}/venv/bin/pip install --quiet --disable-pip-version-check -r {HERE / 'requirements.txt'}"
    finished = subprocess.run(shlex.split(install), capture_output=True, text=True, timeout=SECONDS, check=False)
    if finished.returncode:
        pytest.skip(f"needs kubernetes-validate from a package index: {finished.stderr[-200:]}")
    return str(folder / "venv" / "bin" / "kubernetes-validate")


@pytest.mark.clients
def test_the_options_and_variables_of_every_pod_are_those_of_its_command(
    rendered: dict[str | None, list[dict[str, Any]]],
) -> None:
    for objects in rendered.values():
        own = [one for one in objects if one["kind"] == "Secret"]
        for container in containers(objects).values():
            command = program().commands[container["args"][0]]
            given = variables(container)
            arguments = [re.sub(r"\$\((\w+)\)", "r-0", one) for one in container["args"][1:]]
            assert set(re.findall(r"\$\((\w+)\)", " ".join(container["args"]))) <= set(given)
            read = {parameter.envvar for parameter in command.params}
            assert {one for one in given if one.startswith("IMAGESTORE_SIM_")} <= read
            with mock.patch.dict(os.environ, given):
                command.make_context(container["args"][0], arguments)
            for one in container.get("env", []):
                secret = one.get("valueFrom", {}).get("secretKeyRef", {"name": ""})
                if own and secret["name"] == own[0]["metadata"]["name"]:
                    assert secret["key"] in own[0]["stringData"]


@pytest.mark.clients
def test_the_records_are_read_and_their_hosts_are_those_of_the_fleets(
    rendered: dict[str | None, list[dict[str, Any]]], tmp_path: Path
) -> None:
    for objects in rendered.values():
        node = containers(objects)["r-imagestore-sim"]
        data = one_of(objects, "ConfigMap", "r-imagestore-sim")["data"]
        (tmp_path / "bootstrap.yaml").write_text(data["bootstrap.yaml"])
        with mock.patch.dict(os.environ, variables(node)):
            records = read_bootstrap(tmp_path / "bootstrap.yaml")
        places = {one.hostname: one.sshPort for one in records.backupStorages}
        for line in data["fleets.hosts"].splitlines()[1:]:
            service, *names = line.split()
            assert one_of(objects, "Service", service)["spec"]["clusterIP"] == "None"
            arguments = containers(objects)[service]["args"]
            assert (arguments[1], f"--count={len(names)}" in arguments) == (names[0], True)
            [first] = [int(one.partition("=")[2]) for one in arguments if one.startswith("--port=")]
            assert [places.pop(name) for name in names] == list(range(first, first + len(names)))
        assert set(places) <= {"10.0.0.1"}


@pytest.mark.clients
def test_several_nodes_share_a_mariadb_and_one_has_a_volume(rendered: dict[str | None, list[dict[str, Any]]]) -> None:
    kinds = {name: [one["kind"] for one in objects] for name, objects in rendered.items()}
    assert [kinds[name].count("PersistentVolumeClaim") for name in (None, "three-nodes", "own-hosts")] == [1, 0, 1]
    assert [kinds[name].count("PodDisruptionBudget") for name in (None, "three-nodes")] == [0, 1]
    assert [kinds[name].count("Secret") for name in (None, "three-nodes", "secrets")] == [0, 0, 1]
    several = containers(rendered["three-nodes"])["r-imagestore-sim"]["args"]
    assert "--advertise=$(POD_NAME).r-imagestore-sim-nodes.lab.svc:8080" in several
    assert "--cluster-mode=quick" in several
    assert not any(one.startswith("--database") for one in several)
    alone = containers(rendered[None])["r-imagestore-sim"]["args"]
    assert "--database=/var/lib/imagestore-sim/node.db" in alone
    assert not any(one.startswith("--advertise") for one in alone)


@pytest.mark.clients
def test_pods_of_the_longest_names_can_be_made(helm: Helm) -> None:
    """Kubernetes labels a pod of a StatefulSet with the name of that, a dash and ten letters: 63 at most."""
    name = "a-release-with-as-long-a-name-as-can-be"
    fleets = [f"a-fleet-with-a-name{letter}" for letter in "abcd"]
    options = [f"fleets[{at}].name={one},fleets[{at}].count=2" for at, one in enumerate(fleets)]
    objects = helm.render(*(word for option in (f"fullnameOverride={name}", *options) for word in ("--set", option)))
    sets = [one["metadata"]["name"] for one in objects if one["kind"] == "StatefulSet"]
    assert (len(set(sets)), max(map(len, sets)) <= 52) == (1 + len(fleets), True), sets
    services = {one["metadata"]["name"] for one in objects if one["kind"] == "Service"}
    assert {one["spec"]["serviceName"] for one in objects if one["kind"] == "StatefulSet"} <= services
    [hosts] = [one["data"]["fleets.hosts"] for one in objects if one["kind"] == "ConfigMap"]
    assert {line.split()[0] for line in hosts.splitlines()[1:]} == set(sets) - {name[:36]}


@pytest.mark.clients
def test_pods_answer_under_every_name_that_the_cluster_has_for_them(
    rendered: dict[str | None, list[dict[str, Any]]],
) -> None:
    own = {"r-imagestore-sim": "r-imagestore-sim-nodes"}
    for service, container in containers(rendered[None]).items():
        options = [one.partition("=")[2] for one in container["args"] if one.startswith("--allowed-host=")]
        known = AllowedHosts(options)
        if container["args"][0] == "ready":
            continue
        for name in (service, f"{service}-0.{own.get(service, service)}"):
            for below in ("", ".lab", ".lab.svc", ".lab.svc.cluster.local", ".lab.svc.cluster.local."):
                assert known.has(f"{name}{below}:8080"), (name, below)
        assert not known.has(f"{service}.example")


@pytest.mark.clients
def test_a_node_that_is_to_end_answers_until_the_service_has_forgotten_it(
    rendered: dict[str | None, list[dict[str, Any]]],
) -> None:
    """Without that, calls were refused while three nodes were replaced one by one."""
    for name in (None, "three-nodes"):
        spec = one_of(rendered[name], "StatefulSet", "r-imagestore-sim")["spec"]["template"]["spec"]
        command, seconds = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        assert (command, 3 <= int(seconds) < spec["terminationGracePeriodSeconds"] - 10) == ("sleep", True)


@pytest.mark.clients
async def test_a_node_begins_once_its_fleets_listen(helm: Helm) -> None:
    """Else each storage of a new release is Disconnected until a later ping."""
    for value, port in (("labApi.enabled=true", "8081"), ("labApi.enabled=false", "10000")):
        objects = helm.render("--set", f"{value},fleets[0].name=a,fleets[0].count=1,fleets[1].name=b,fleets[1].count=1")
        before = _before_the_node(objects)["fleets"]
        assert before["args"][2:] == ["r-imagestore-sim-fleet-a", "r-imagestore-sim-fleet-b"]
        assert f"/{port})" in before["args"][0]
        free = _free_ports(1)
        wait = [*before["command"], before["args"][0].replace(f"/{port})", f"/{free})"), "fleets", "127.0.0.1"]
        async with child(*wait, stdout=asyncio.subprocess.PIPE, start_new_session=True) as process:
            assert process.stdout is not None
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(process.wait(), 1)
            async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", free):
                printed = await asyncio.wait_for(process.stdout.read(), 20)
                assert (await process.wait(), printed) == (0, b"")
    assert "fleets" not in _before_the_node(helm.render(values="own-hosts"))


@pytest.mark.clients
def test_a_key_that_the_group_of_a_volume_may_read_is_the_nodes_alone_again(
    rendered: dict[str | None, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Kubernetes gives a volume's files to the group of the pod, if the volume itself has another group."""
    command = _before_the_node(rendered[None])["key"]["command"]
    key = tmp_path / Path(command[-1]).name
    for rights in (None, 0o660):
        if rights is not None:
            Vault.open(key)
            key.chmod(rights)
        assert subprocess.run([*command[:-1], str(key)], check=False, timeout=SECONDS).returncode == 0
    Vault.open(key)
    assert "key" not in _before_the_node(rendered["three-nodes"])


def _before_the_node(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return by name what runs in the pod of a node before it."""
    spec = one_of(objects, "StatefulSet", "r-imagestore-sim")["spec"]["template"]["spec"]
    return {one["name"]: one for one in spec.get("initContainers", [])}


@pytest.mark.clients
def test_the_notes_name_what_was_installed(helm: Helm, tmp_path: Path) -> None:
    plain = helm.notes(tmp_path / "plain")
    assert "1 management node at http://r-imagestore-sim.lab.svc:8080, over SQLite" in plain
    assert "WARNING: all who reach these Services" in plain
    assert "Bearer" not in plain
    guarded = helm.notes(tmp_path / "guarded", "--set", "labApi.token.value=secret-1")
    assert "-H 'Authorization: Bearer TOKEN'" in guarded
    assert ("secret-1" in guarded, "WARNING" in guarded) == (False, False)


@pytest.mark.clients
@rows(
    "options, expected",
    [
        (["node.replicas=3"], "several nodes share a MariaDB, so give store.databaseUrl"),
        (["node.replicas=0"], "minimum: got 0, want 1"),
        (["node.replicas=many"], "at '/node/replicas': got string, want integer"),
        (["node.replica=2"], "at '/node': additional properties 'replica' not allowed"),
        (["node.clusterMode=slow"], "value must be one of 'faithful', 'quick'"),
        (["node.allowedHosts[0]=a b"], "at '/node/allowedHosts/0': 'a b' does not match pattern"),
        (["store.databaseUrl.value=postgres://h/n"], "at '/store/databaseUrl/value'"),
        (["store.databaseUrl.value=mariadb://u:p@h/n"], "store.vaultKey is missing"),
        (["store.vaultKey.value=short"], "at '/store/vaultKey/value'"),
        (["labApi.token.value=two words"], "at '/labApi/token/value'"),
        (["fleets[0].name=a"], "at '/fleets/0': missing property 'count'"),
        (["fleets[0].name=A_b", "fleets[0].count=1"], "at '/fleets/0/name': 'A_b' does not match pattern"),
        (
            ["fleets[0].name=a", "fleets[0].count=1", "fleets[1].name=a", "fleets[1].count=1"],
            "fleets: two of them are called a",
        ),
        (["fleets[0].name=a", "fleets[0].count=1", "fleets[0].size=1", "fleets[0].used=2"], "used is more than size"),
        (["fleets[0].name=a", "fleets[0].count=16000"], "a ConfigMap holds a million"),
        (
            ["fleets[0].name=a", "fleets[0].count=2", "fleet.firstPort=10000", "fleet.firstAgentPort=10001"],
            "fleets: a: the ports of its agents, from fleet.firstAgentPort on, are among those of its hosts",
        ),
        (["bootstrap.accounts[0].name=admin", "adminPassword.value=x"], "and adminPassword is given: give one"),
    ],
)
def test_values_that_cannot_be_are_refused_in_plain_words(helm: Helm, options: list[str], expected: str) -> None:
    given = [word for option in options for word in ("--set", option)]
    assert expected in helm.refusal(*given)


@pytest.mark.clients
async def test_what_the_pods_run_finds_each_other(helm: Helm, tmp_path: Path) -> None:
    """Their commands, here as processes, with the name of the Service that of this machine."""
    port = _free_ports(6)
    values = (
        f"fleet.firstPort={port}",
        f"fleet.firstAgentPort={port + 3}",
        "fleet.password.value=secret-1",
        "node.extraArgs[0]=--ping-mode=agent",  # so that a connect needs the agent, too
    )
    objects = helm.render(*(word for value in values for word in ("--set", value)))
    every = containers(objects)
    data = one_of(objects, "ConfigMap", "r-imagestore-sim")["data"]
    service = "r-imagestore-sim-fleet-imagestore"
    for name, text in data.items():
        (tmp_path / name).write_text(text.replace(service, "localhost"))
    secrets = {"IMAGESTORE_SIM_PASSWORD": "secret-1", "FLEET_PASSWORD": "secret-1"}

    def arguments(name: str) -> list[str]:
        changed = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=8080": "--port=0", "--lab-port=8081": "--lab-port=0"}
        here = [one.replace(RECORDS, str(tmp_path)) for one in every[name]["args"]]
        return [changed.get(one, one.replace("/var/lib/imagestore-sim", str(tmp_path))) for one in here]

    async with AsyncExitStack() as exits:
        fleet = await exits.enter_async_context(running(*arguments(service), cwd=tmp_path, **secrets))
        node = await exits.enter_async_context(running(*arguments("r-imagestore-sim"), cwd=tmp_path, **secrets))
        client = await exits.enter_async_context(Client(node.url))
        await client.log_in()
        storages = await client.query("/backup-storage/image-store")
        assert {one["hostname"]: (one["sshPort"], one["status"]) for one in storages} == {
            f"imagestore-{number + 1}": (port + number, "Connected") for number in range(3)
        }
        assert (await node.stop(), await fleet.stop()) == (0, 0)


def _free_ports(count: int) -> int:
    """Return the first of some ports that are free, one after the other."""
    for first in range(12000, 30000, 50):
        try:
            for port in range(first, first + count):
                with socket.socket() as trial:
                    trial.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no port is free")
