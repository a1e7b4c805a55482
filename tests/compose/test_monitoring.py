"""The profile `monitoring`: promtool accepts its files, and Prometheus finds all its metrics in a lab."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from compose.compose_lab import ROOT, STORAGES, free_port, succeed
from imagestore_sim.lab import Lab
from imagestore_sim.lab_api.example_metrics import FAILED, MEASURED
from imagestore_sim.lab_api.probe_page import series_of
from imagestore_sim.testing import Client
from node_faults import heal, set_fault
from processes import child

FOLDER = ROOT / "docker/monitoring"
CONFIGURATION, ALERTS, TESTS = FOLDER / "prometheus.yml", FOLDER / "alerts.yml", FOLDER / "alerts.test.yml"
DASHBOARD = FOLDER / "dashboards/imagestore-sim.json"
METRIC = re.compile(r"\b(?:(?:imagestore_sim|process|probe)_\w+|up|ALERTS)\b")
VARIABLES = re.compile(r"\$(?:instance|storage)\b")
READY_SECONDS = 90.0

needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool and prometheus, of Debian's package prometheus"
)
pytestmark = pytest.mark.compose


def expressions() -> Iterator[tuple[str, str]]:
    """Yield the title of each panel of the dashboard with each of its expressions, for all nodes and storages."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], VARIABLES.sub(".*", target["expr"])


def rules() -> list[Any]:
    """Return the alerts."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


@needs_prometheus
async def test_promtool_accepts_the_configuration_and_the_alerts(tmp_path: Path) -> None:
    await succeed("promtool", "check", "config", str(CONFIGURATION))
    await succeed("promtool", "check", "rules", str(ALERTS))


@needs_prometheus
async def test_every_alert_fires_when_it_should_and_names_what_it_is_about() -> None:
    await succeed("promtool", "test", "rules", str(TESTS))
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == {rule["alert"] for rule in rules()}


async def test_the_dashboard_and_the_alerts_use_metrics_that_exist(imagestore_client: Client) -> None:
    page = (await imagestore_client.request("GET", f"{imagestore_client.url}/metrics")).text
    there = set(re.findall(r"^# TYPE (\w+) ", page, re.MULTILINE)) | {"up", "ALERTS"}
    there |= {family.name for found in (MEASURED, FAILED) for family in series_of(found, 0)}
    texts = [f"{rule['expr']} {rule['annotations']['summary']}" for rule in rules()]
    asked = [*expressions(), *zip((rule["alert"] for rule in rules()), texts, strict=True)]
    assert len(asked) > 30
    for title, expression in asked:
        metrics = {re.sub(r"_(bucket|count|sum)$", "", name) for name in METRIC.findall(expression)}
        assert metrics, f"{title} uses no metric"
        assert metrics <= there, title


def test_each_panel_follows_the_variables_of_the_dashboard() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert [one["name"] for one in dashboard["templating"]["list"]] == ["datasource", "instance", "storage"]
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            metrics = len(METRIC.findall(target["expr"]))
            assert target["expr"].count('instance=~"$instance"') == metrics, panel["title"]
            of_storages = target["expr"].count("imagestore_sim_backup_storage_")
            assert target["expr"].count('name=~"$storage"') == of_storages, panel["title"]


@needs_prometheus
async def test_prometheus_answers_every_panel_from_a_lab(
    imagestore_client: Client, imagestore_lab: Lab, tmp_path: Path
) -> None:
    await imagestore_lab.network["imagestore-1"].stop()
    fault = await set_fault(imagestore_client, "latency", delay="10ms")
    async with _prometheus(tmp_path, imagestore_lab.url.removeprefix("http://")) as url:
        asking = asyncio.create_task(_use(imagestore_client))
        try:
            of_faults = [one for one in expressions() if "node_fault" in one[1]]
            for title, expression in of_faults:
                await _until(url, expression, title)
            await heal(imagestore_client, fault)  # while one is set, no answer is kept
            for title, expression in expressions():
                if (title, expression) not in of_faults:
                    await _until(url, expression, title)
            await _until(url, 'ALERTS{alertname="BackupStorageDisconnected",name="imagestore-1"}', "alerts")
        finally:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking


async def _use(client: Client) -> None:
    """Send queries, cached and not, and jobs, until cancelled."""
    [storage] = await client.query(STORAGES, "hostname=imagestore-2")
    for number in itertools.count():
        await client.query(STORAGES)
        await client.query(STORAGES, f"name!=name-{number}")
        body = {"updateImageStoreBackupStorage": {"description": str(number)}}
        await client.call("PUT", f"{STORAGES}/{storage['uuid']}/actions", body)
        await client.query(STORAGES)
        await client.query(STORAGES)
        await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def _prometheus(folder: Path, target: str) -> AsyncIterator[str]:
    """Yield the URL of a Prometheus with the lab's configuration, but with one target and shorter intervals."""
    configuration = yaml.safe_load(CONFIGURATION.read_text())
    configuration["global"] = {"scrape_interval": "500ms", "scrape_timeout": "400ms", "evaluation_interval": "500ms"}
    configuration["rule_files"] = [str(ALERTS)]
    configuration["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    file, address = folder / "prometheus.yml", f"127.0.0.1:{free_port()}"
    file.write_text(yaml.safe_dump(configuration))
    async with child(
        "prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    ) as process:  # fmt: skip
        yield f"http://{address}"
        process.terminate()
        await asyncio.wait_for(process.wait(), READY_SECONDS)


async def _until(url: str, expression: str, title: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not await _ask(url, expression):
        assert time.monotonic() < deadline, f"Prometheus has no value for {title}: {expression}"
        await asyncio.sleep(0.2)


async def _ask(url: str, expression: str) -> list[dict[str, Any]]:
    """Return the result of an expression; empty while Prometheus starts."""
    try:
        params = {"query": expression}
        async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/query", params=params) as answer:
            body = await answer.json(content_type=None)
    except (aiohttp.ClientError, ValueError):
        return []
    assert body["status"] == "success", body
    found: list[dict[str, Any]] = body["data"]["result"]
    return found
