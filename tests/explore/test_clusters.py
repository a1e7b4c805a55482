"""The oracle judges stories of several nodes: it finds what a node does that must not, or that others lose."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imagestore_sim.cluster import FollowedState, Membership
from imagestore_sim.explore.judging import write_verdicts
from imagestore_sim.explore.playing import play
from imagestore_sim.explore.story import Content, read
from imagestore_sim.scenario.format.oracle import OracleName

Plant = Callable[[pytest.MonkeyPatch], None]
PAUSED: Content = {
    "title": "a node stands still",
    "hosts": {"imagestore-1": {}, "imagestore-2": {}, "imagestore-3": {}},
    "nodes": 2,
    "node": {"cluster_mode": "quick"},
    "settings": {"ping.interval": "1s"},
    "oracle": "all",
    "timeline": [
        {"at": "5s", "pause_node": {"node": "node-2", "for": "10s"}},
        {"wait": "20s"},
        *({"call": {"method": "GET", "path": "/backup-storage"}} for _ in range(2)),
        {
            "call": {
                "method": "PUT",
                "path": "/backup-storage/$imagestore-1/actions",
                "body": {"updateBackupStorage": {"name": "gold"}},
            }
        },
        *({"call": {"method": "GET", "path": "/backup-storage"}} for _ in range(2)),
    ],
}


def _ignore_the_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Membership, "_is_late", lambda self, now: False)


def _read_old_answers(patch: pytest.MonkeyPatch) -> None:
    async def catch_up(self: FollowedState) -> None:
        """Look for no change of another node."""

    patch.setattr(FollowedState, "catch_up", catch_up)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("plant", "broken"),
    [
        (None, None),
        (_ignore_the_lease, OracleName.ONE_NODE_A_STORAGE),
        (_read_old_answers, OracleName.WRITES_ARE_READ),
    ],
    ids=["nothing", "lease-ignored", "answers-kept"],
)
def test_what_a_node_does_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Plant | None, broken: OracleName | None
) -> None:
    if plant is not None:
        plant(monkeypatch)
    found = {one.invariant for one in write_verdicts(play(read(PAUSED)))}
    assert found == set() if broken is None else broken in found, found
