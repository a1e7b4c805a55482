"""The files of the lab in containers, without an engine."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose.compose_lab import FILE, HOSTS, ROOT, find_compose, succeed
from imagestore_sim.containers.faults import IMPLEMENTATIONS, ON_MEMORY_DISKS
from imagestore_sim.containers.labels import HOST
from rows import rows

BASE_IMAGES = {"python:3.11-slim-bookworm", "debian:bookworm-slim"}
DOCKERFILES = [
    ROOT / "docker/mn/Dockerfile",
    ROOT / "docker/mariadb/Dockerfile",
    ROOT / "docker/proxy/Dockerfile",
    ROOT / "simulator/imagestore_sim/containers/images/host/Dockerfile",
    ROOT / "simulator/imagestore_sim/containers/images/disks/Dockerfile",
]
FLEET = [f"imagestore-{number}" for number in range(4, 24)]
CHAOS = [f"chaos-{number}" for number in range(1, 4)]
NODES = [f"mn-{number}" for number in range(1, 4)]
SERVERS = [f"mariadb-{number}" for number in range(1, 4)]
PROXIES = ["proxy", "database"]
CLUSTER = [*NODES, *SERVERS, *PROXIES]
GRACE = {"chaos": "30s", **dict.fromkeys(NODES, "5s"), **dict.fromkeys(SERVERS, "20s")}
"""How long a service may take to stop, where that is more than two seconds."""
MONITORING = {"prometheus": "prom/prometheus", "grafana": "grafana/grafana"}
"""Services with images of other projects, by their images."""
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@pytest.fixture
def services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
    return services


@pytest.mark.thorough
def test_the_file_follows_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_file_has_only_what_both_versions_of_compose_take() -> None:
    content = yaml.safe_load(FILE.read_text())
    # Compose 2 calls `version` obsolete; Compose 1.29 knows none of what came after it.
    extensions = {
        "x-host",
        "x-fleet",
        "x-chaos",
        "x-node",
        "x-cluster-node",
        "x-cluster-environment",
        "x-mariadb",
        "x-proxy",
    }
    assert content.keys() == extensions | {"services", "volumes"}
    known_to_both = {"build", "hostname", "user", "read_only", "cap_drop", "cap_add", "security_opt", "tmpfs"}
    known_to_both |= {"volumes", "ports", "environment", "stop_grace_period", "healthcheck", "depends_on"}
    known_to_both |= {"profiles", "command", "image", "labels", "devices", "restart"}
    for service in content["services"].values():
        assert service.keys() <= known_to_both
        assert service.get("healthcheck", {}).keys() <= {"test", "interval", "timeout", "retries", "start_period"}


@pytest.mark.compose
async def test_the_installed_compose_takes_the_file_without_a_warning() -> None:
    compose = find_compose()
    if compose is None:
        pytest.skip("needs Compose, and there is neither docker-compose nor `docker compose` here")
    assert await succeed(*compose, "-f", str(FILE), "config", "--quiet") == ""


def test_every_service_has_few_privileges_and_stops_soon(services: dict[str, dict[str, Any]]) -> None:
    others = {"mn", "fleet", "chaos-storages", "chaos"}
    assert services.keys() == {*others, *HOSTS, *FLEET, *CHAOS, *CLUSTER, *MONITORING}
    for name, service in services.items():
        assert re.fullmatch(r"(?!zstack)[a-z0-9-]+", name), "a name that ZStack takes for a hostname"
        assert service["hostname"] == name
        assert service["cap_drop"] == ["ALL"]
        unconfined = ["apparmor:unconfined"] if name in CHAOS else []
        assert service["security_opt"] == ["no-new-privileges:true", *unconfined]
        assert service["stop_grace_period"] == GRACE.get(name, "2s")
        assert service.get("healthcheck") or name in ("fleet", "chaos-storages"), (
            "only a service that ends by itself needs none"
        )
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert services["mn"]["read_only"] is True
    assert services["mn"]["user"] == "10001"
    assert {name for name, service in services.items() if "cap_add" in service} == {*HOSTS, *FLEET, *CHAOS}
    assert {name for name, service in services.items() if "profiles" not in service} == {"mn", *HOSTS}
    assert services["mn"]["depends_on"] == {host: {"condition": "service_healthy"} for host in HOSTS}


def test_the_cluster_is_a_profile_and_each_of_its_nodes_has_a_name_of_its_own(
    services: dict[str, dict[str, Any]],
) -> None:
    assert {name for name, one in services.items() if one.get("profiles") == ["cluster"]} == set(CLUSTER)
    for name in CLUSTER:
        assert services[name]["read_only"] is True
    environments = [dict(services[node]["environment"]) for node in NODES]
    assert [one.pop("IMAGESTORE_SIM_ADVERTISE") for one in environments] == NODES
    assert environments[0] == environments[1] == environments[2]
    assert services["mariadb-1"]["environment"]["MARIADB_CLUSTER"].split(",") == SERVERS
    nodes, database = ((ROOT / f"docker/proxy/{file}.cfg").read_text() for file in ("nodes", "database"))
    assert re.findall(r"^    server (\S+) (\S+)", nodes, re.MULTILINE) == [(one, f"{one}:8080") for one in NODES]
    assert re.findall(r"^    server (\S+) (\S+)", database, re.MULTILINE) == [(one, f"{one}:3306") for one in SERVERS]


def test_the_hosts_for_faults_have_the_privileges_for_them_and_no_more(services: dict[str, dict[str, Any]]) -> None:
    needed = reduce(or_, (one.requirements for one in (IMPLEMENTATIONS | ON_MEMORY_DISKS).values()))
    for name in CHAOS:
        assert set(services[name]["cap_add"]) == needed.capabilities.union(services["imagestore-1"]["cap_add"])
        assert services[name]["devices"] == [f"{one}:{one}" for one in needed.devices]
    assert {name for name, service in services.items() if service.get("devices")} == set(CHAOS)


def test_the_engine_s_socket_is_for_the_service_chaos_alone(services: dict[str, dict[str, Any]]) -> None:
    mounted = {name for name, one in services.items() if any("docker.sock" in text for text in one.get("volumes", []))}
    assert mounted == {"chaos"}
    assert services["chaos"]["profiles"] == ["chaos"]
    assert services["chaos"]["read_only"] is True


def test_every_host_is_known_by_its_label(services: dict[str, dict[str, Any]]) -> None:
    labelled = {name for name, service in services.items() if service.get("labels") == {HOST: "true"}}
    assert labelled == {*HOSTS, *FLEET, *CHAOS}
    assert {name for name, one in services.items() if "STORE_URL" in one.get("environment", {})} == labelled


def test_hosts_of_scenarios_have_the_capabilities_of_the_lab_s(services: dict[str, dict[str, Any]]) -> None:
    pytest.importorskip("aiodocker", reason="needs the extra `compose`")
    from imagestore_sim.containers.launch import SSHD_CAPABILITIES

    assert set(services["imagestore-1"]["cap_add"]) == SSHD_CAPABILITIES


def test_images_of_other_projects_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    for name, image in MONITORING.items():
        assert re.fullmatch(rf"{image}:v?\d+\.\d+\.\d+", services[name]["image"])
    assert {name for name, service in services.items() if "image" in service} == set(MONITORING)


def test_every_variable_is_explained_with_its_default() -> None:
    variables = VARIABLE.findall(FILE.read_text())
    found = dict(variables)
    assert set(found.items()) == set(variables), "a variable with two defaults"
    lines = (ROOT / ".env.example").read_text().splitlines()
    explained = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert found == explained
    assert all(found.values()), "a variable without a default"


@rows("dockerfile", DOCKERFILES, ids=lambda file: file.parent.name)
def test_images_begin_with_a_known_base_and_name_no_registry(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= BASE_IMAGES | stages
    labels = r'^.*org\.opencontainers\.image\.\w+="https://github\.com/imagestore-sim/imagestore-sim\b'
    assert "://" not in re.sub(labels, "", text, flags=re.MULTILINE)
    assert not re.search("amd64|x86_64|arm64|aarch64|--platform", text), "one file for every machine"


def test_the_bootstrap_has_one_storage_for_each_host(services: dict[str, dict[str, Any]]) -> None:
    text = (ROOT / "docker/mn/bootstrap.yaml").read_text()
    variables = set(re.findall(r"!env (\w+)", text))
    assert variables <= services["mn"]["environment"].keys()
    storages = yaml.safe_load(text.replace("!env", ""))["backupStorages"]
    assert [(one["hostname"], one["url"]) for one in storages] == [
        (host, services[host]["environment"]["STORE_URL"]) for host in HOSTS
    ]


@pytest.mark.parametrize(("service", "hosts"), [("fleet", FLEET), ("chaos-storages", CHAOS)])
def test_a_profile_adds_one_storage_for_each_of_its_hosts(
    services: dict[str, dict[str, Any]], service: str, hosts: list[str]
) -> None:
    file = Path(services[service]["command"][1]).name
    text = (ROOT / "docker/mn" / file).read_text()
    assert set(re.findall(r"!env (\w+)", text)) <= services[service]["environment"].keys()
    records = yaml.safe_load(text.replace("!env", ""))
    assert [one["hostname"] for one in records["backupStorages"]] == hosts
    assert {one["url"] for one in records["backupStorages"]} == {
        services[host]["environment"]["STORE_URL"] for host in hosts
    }
    assert services[service]["depends_on"].keys() == {"mn", *hosts}


def test_no_two_records_have_the_same_uuid() -> None:
    files = [yaml.safe_load(file.read_text().replace("!env", "")) for file in (ROOT / "docker/mn").glob("*.yaml")]
    uuids = [one["uuid"] for file in files for kind in ("zones", "backupStorages") for one in file[kind]]
    assert len(files) == 3
    assert len(uuids) == len(set(uuids))
