"""The files of the lab in containers, read as they stand: no engine is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose.containers import FILE, HOSTS, ROOT, find_compose, succeed

BASE_IMAGES = {"python:3.11-slim-bookworm", "debian:bookworm-slim"}
DOCKERFILES = [ROOT / "docker/mn/Dockerfile", ROOT / "docker/host/Dockerfile"]
FLEET = [f"imagestore-{number}" for number in range(4, 24)]
MONITORING = {"prometheus": "prom/prometheus", "grafana": "grafana/grafana"}
"""Services of images that others make."""
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@pytest.fixture
def services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
    return services


def test_the_file_keeps_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_file_has_nothing_that_only_one_generation_of_compose_takes() -> None:
    content = yaml.safe_load(FILE.read_text())
    # Compose 2 calls `version` obsolete; Compose 1.29 knows none of what came after it.
    assert content.keys() == {"x-host", "x-fleet", "x-node", "services", "volumes"}
    known_to_both = {"build", "hostname", "init", "user", "read_only", "cap_drop", "cap_add", "security_opt", "tmpfs"}
    known_to_both |= {"volumes", "ports", "environment", "stop_grace_period", "healthcheck", "depends_on"}
    known_to_both |= {"profiles", "command", "image"}
    for service in content["services"].values():
        assert service.keys() <= known_to_both
        assert service.get("healthcheck", {}).keys() <= {"test", "interval", "timeout", "retries", "start_period"}


@pytest.mark.compose
async def test_the_installed_compose_takes_the_file_without_a_word() -> None:
    compose = find_compose()
    if compose is None:
        pytest.skip("needs Compose, and there is neither docker-compose nor `docker compose` here")
    assert await succeed(*compose, "-f", str(FILE), "config", "--quiet") == ""


def test_every_service_is_kept_small_and_stops_soon(services: dict[str, dict[str, Any]]) -> None:
    assert services.keys() == {"mn", *HOSTS, *FLEET, "fleet", *MONITORING}
    for name, service in services.items():
        assert re.fullmatch(r"(?!zstack)[a-z0-9-]+", name), "a name that ZStack takes for a hostname"
        assert service["hostname"] == name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["stop_grace_period"] == "2s"
        assert service.get("healthcheck") or name == "fleet", "only what ends by itself needs none"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert services["mn"]["read_only"] is True
    assert services["mn"]["user"] == "10001"
    assert "cap_add" not in services["mn"]
    assert {name for name, service in services.items() if "profiles" not in service} == {"mn", *HOSTS}
    assert services["mn"]["depends_on"] == {host: {"condition": "service_healthy"} for host in HOSTS}


def test_images_of_others_are_pinned(services: dict[str, dict[str, Any]]) -> None:
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


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: file.parent.name)
def test_images_begin_with_a_known_base_and_name_no_registry(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= BASE_IMAGES
    assert "://" not in text


def test_the_bootstrap_has_one_storage_for_each_host(services: dict[str, dict[str, Any]]) -> None:
    text = (ROOT / "docker/mn/bootstrap.yaml").read_text()
    variables = set(re.findall(r"!env (\w+)", text))
    assert variables <= services["mn"]["environment"].keys()
    storages = yaml.safe_load(text.replace("!env", ""))["backupStorages"]
    assert [(one["hostname"], one["url"]) for one in storages] == [
        (host, services[host]["environment"]["STORE_URL"]) for host in HOSTS
    ]


def test_the_fleet_has_one_storage_for_each_host(services: dict[str, dict[str, Any]]) -> None:
    text = (ROOT / "docker/mn/fleet.yaml").read_text()
    assert set(re.findall(r"!env (\w+)", text)) <= services["fleet"]["environment"].keys()
    records = yaml.safe_load(text.replace("!env", ""))
    assert [one["hostname"] for one in records["backupStorages"]] == FLEET
    assert {one["url"] for one in records["backupStorages"]} == {
        services[host]["environment"]["STORE_URL"] for host in FLEET
    }
    assert services["fleet"]["depends_on"].keys() == {"mn", *FLEET}
    plain = yaml.safe_load((ROOT / "docker/mn/bootstrap.yaml").read_text().replace("!env", ""))
    uuids = [one["uuid"] for file in (plain, records) for kind in ("zones", "backupStorages") for one in file[kind]]
    assert len(uuids) == len(set(uuids))
