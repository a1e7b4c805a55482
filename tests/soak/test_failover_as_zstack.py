"""Nodes in containers fail in ZStack's mode, where a takeover takes half a minute and more."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose.cluster_lab import NODES, SERVERS, ClusterLab
from compose.compose_lab import what_is_missing
from compose.failures import failures_of

pytestmark = [pytest.mark.soak, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1500)]


async def test_in_zstacks_mode_the_others_take_over_after_half_a_minute(tmp_path: Path) -> None:
    if (missing := what_is_missing()) is not None:
        pytest.skip(missing)
    async with ClusterLab(tmp_path, CLUSTER_MODE="faithful") as lab, failures_of(lab, quick=False) as failures:
        node, go_through = failures.owner, failures.go_through
        others = [one for one in NODES if one != node]
        await go_through("a node cut off from the others", lab.cut_off(node, *others), moves=False)
        await go_through("kill -9 of a database server", lab.without(SERVERS[0], "kill", "start"), moves=False)
        await go_through("kill -9 of a node", lab.without(node, "kill", "start"), moves=True)
        await go_through("clean stop of a node", lab.without(node, "stop", "start"), moves=True)
        await go_through("pause of a node", lab.without(node, "pause", "unpause"), moves=True)
        await go_through("a node cut off from the database", lab.cut_off(node, "database"), moves=True)
    assert await lab.leftovers() == ""
