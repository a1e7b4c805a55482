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
from imagestore_sim.testing import Client
from processes import child

FOLDER = ROOT / "docker/monitoring"
CONFIGURATION, ALERTS = FOLDER / "prometheus.yml", FOLDER / "alerts.yml"
DASHBOARD = FOLDER / "dashboards/imagestore-sim.json"
METRIC = re.compile(r"\b(?:imagestore_sim_\w+|up|ALERTS)\b")
READY_SECONDS = 20.0

needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool and prometheus, of Debian's package prometheus"
)
pytestmark = pytest.mark.compose


def expressions() -> Iterator[tuple[str, str]]:
    """Yield the title of each panel of the dashboard with each of its expressions."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@needs_prometheus
async def test_promtool_accepts_the_configuration_and_the_alerts(tmp_path: Path) -> None:
    await succeed("promtool", "check", "config", str(CONFIGURATION))
    await succeed("promtool", "check", "rules", str(ALERTS))


@needs_prometheus
@pytest.mark.parametrize(
    ("alert", "series", "labels", "summary"),
    [
        ("ManagementNodeDown", {'up{job="imagestore-sim"}': "0x60"}, {"job": "imagestore-sim", "severity": "critical"},
         "The management node does not answer."),
        ("BackupStorageDisconnected", {'imagestore_sim_backup_storages{status="Disconnected",state="Enabled"}': "2x60"},
         {"severity": "critical"}, "2 backup storages are Disconnected."),
        ("BackupStorageNearlyFull",
         {'imagestore_sim_backup_storage_available_bytes{name="gold"}': "50x60",
          'imagestore_sim_backup_storage_total_bytes{name="gold"}': "1000x60"},
         {"name": "gold", "severity": "warning"}, "gold has 5% left."),
        ("BackupStorageFillsUp", {'imagestore_sim_backup_storage_available_bytes{name="gold"}': "500-1x180"},
         None, "gold is full within the hour at this rate."),
        ("PingsAreLate",
         {'imagestore_sim_tracker_lag_seconds_bucket{le="1.0"}': "0x180",
          'imagestore_sim_tracker_lag_seconds_bucket{le="5.0"}': "0+1x180",
          'imagestore_sim_tracker_lag_seconds_bucket{le="+Inf"}': "0+1x180"},
         {"severity": "warning"}, "The ticks of the ping tracker begin 4.96s late."),
    ],
)  # fmt: skip
async def test_an_alert_fires_when_it_should(
    tmp_path: Path, alert: str, series: dict[str, str], labels: dict[str, str] | None, summary: str
) -> None:
    expected = {
        "exp_labels": labels or {"name": "gold", "severity": "warning"},
        "exp_annotations": {"summary": summary},
    }
    test = {
        "interval": "5s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": "0s", "alertname": alert, "exp_alerts": []},
            {"eval_time": "5m", "alertname": alert, "exp_alerts": [expected]},
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "5s", "tests": [test]}))
    await succeed("promtool", "test", "rules", str(file))


async def test_the_dashboard_and_the_alerts_use_metrics_that_exist(imagestore_client: Client) -> None:
    page = (await imagestore_client.request("GET", f"{imagestore_client.url}/metrics")).text
    there = set(re.findall(r"^# TYPE (\w+) ", page, re.MULTILINE)) | {"up", "ALERTS"}
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    asked = [*expressions(), *((rule["alert"], rule["expr"]) for rule in rules)]
    assert len(asked) > 20
    for title, expression in asked:
        metrics = {re.sub(r"_(bucket|count|sum)$", "", name) for name in METRIC.findall(expression)}
        assert metrics, f"{title} uses no metric"
        assert metrics <= there, title


@needs_prometheus
async def test_prometheus_answers_every_panel_from_a_lab(
    imagestore_client: Client, imagestore_lab: Lab, tmp_path: Path
) -> None:
    await imagestore_lab.network["imagestore-1"].stop()
    async with _prometheus(tmp_path, imagestore_lab.url.removeprefix("http://")) as url:
        asking = asyncio.create_task(_use(imagestore_client))
        try:
            for title, expression in expressions():
                await _until(url, expression, title)
            await _until(url, 'ALERTS{alertname="BackupStorageDisconnected"}', "alerts")
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
