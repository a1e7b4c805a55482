"""Several nodes in a story: steps reach the nodes that they name, and the log says which node was asked."""

from __future__ import annotations

from typing import Any

import pytest

from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.play.results import Result, Verdict
from imagestore_sim.scenario.replay import play_virtually

STORY = """\
title: Nodes come and go
hosts: {"imagestore-{1..2}": }
nodes: 3
node: {cluster_mode: quick}
settings: {ping.interval: 10s}
timeline:
  - expect: {storage: "*", owner: "!= none"}
  - client: {method: GET, path: /zones, node: node-2}
  - client: {method: GET, path: /zones}
  - pause_node: {node: node-1, for: 6s}
  - client: {method: GET, path: /zones, node: node-1, timeout: 1s, status: 0}
  - kill_node: {node: node-2, commits: 1}
  - eventually: {storage: "*", owner: node-3, within: 6s}
  - expect: {query: /management-nodes, count: 1}
  - {at: 20s, expect: {query: /management-nodes, node: node-1, count: 2}}
  - fault: {node: status, code: 502}
  - client: {method: GET, path: /zones, node: node-3, status: 502}
  - heal: {node: all}
  - client: {method: GET, path: /zones, node: node-1}
  - partition: {node: node-3, from: hosts, for: 5s}
  - skew_clock: {node: node-1, by: 1h}
  - start_node: {node: "*"}
  - stop_node: {node: node-1, for: 5s}
  - expect: {query: /management-nodes, count: 2}
  - wait: 20s
  - expect: {query: /management-nodes, count: 3}
  - expect: {metric: imagestore_sim_cluster_members, value: 9}
  - expect: {metric: imagestore_sim_cluster_members, value: 3, node: node-2}
  - restart_node: {node: node-1, down: 1s}
"""


def lines(result: Result, kind: str) -> list[dict[str, Any]]:
    return [one for one in result.log if one["kind"] == kind]


def test_steps_reach_the_nodes_that_they_name() -> None:
    result = play_virtually(parse_scenario(STORY))
    assert result.verdict is Verdict.HELD, result.wrong
    asked = [(one["path"], one["node"]) for one in lines(result, "client")]
    assert asked[:4] == [
        ("/accounts/login", "node-2"),
        ("/zones", "node-2"),
        ("/zones", "node-1"),
        ("/zones", "node-1"),
    ]
    assert {one["node"] for one in lines(result, "event")} == {"node-1", "node-2", "node-3"}
    assert [one.text for one in result.windows] == [
        "node-1 paused",
        "node-2 killed",
        "status code 502",
        "node-3 cut off from hosts",
        "node-1 clock 1h ahead",
        "node-1 down",
        "node-1 down",
    ]
    assert all(one.ended is not None for one in result.windows)


PAIR = """\
title: Two of three nodes cannot talk to each other
hosts: {"imagestore-{1..6}": }
nodes: 3
node: {cluster_mode: quick}
settings: {ping.interval: 10s}
timeline:
  - partition: {node: node-1, from: nodes, others: node-2}
  - client: {method: PUT, path: /backup-storage/$imagestore-1/actions, body: {reconnectBackupStorage: {}}, node: node-1}
  - title: its job is node-2's
    client: {method: PUT, path: /backup-storage/$imagestore-2/actions, body: {reconnectBackupStorage: {}}, node: node-1,
             error: SYS.1012, seconds: "> 40"}
  - expect: {query: /management-nodes, count: 3}
  - heal_partition: HEALED
  - client: {method: PUT, path: /backup-storage/$imagestore-2/actions, body: {reconnectBackupStorage: {}}, node: node-1}
  - client: {method: PUT, path: /backup-storage/$imagestore-3/actions, body: {reconnectBackupStorage: {}}, node: node-1}
  - wait: 60s
"""


@pytest.mark.parametrize(
    "healed", [pytest.param("{}", marks=pytest.mark.thorough), "{node: node-2, from: nodes, others: node-1}"]
)
def test_two_nodes_are_cut_off_from_each_other_alone(healed: str) -> None:
    result = play_virtually(parse_scenario(PAIR.replace("HEALED", healed)))
    assert result.verdict is Verdict.HELD, result.wrong
    assert [one.text for one in result.windows] == ["node-1 cut off from node-2"]
    assert result.windows[0].ended is not None


STILL = """\
title: Nothing lets a node go on
hosts: {imagestore-1: }
nodes: 3
node: {cluster_mode: quick}
timeline:
  - pause_node: {node: node-2}
  - fault: {node: status, code: 502}
  - client: {method: GET, path: /zones, node: node-1}
  - client: {method: GET, path: /zones, node: node-3}
  - restart_node: {node: node-2}
  - stop_node: {node: node-2}
  - resume_node: {}
  - client: {method: GET, path: /zones, node: node-2}
  - fault: {node: status, code: 502}
  - pause_node: {node: node-2}
  - heal: {node: all}
  - resume_node: {}
  - client: {method: GET, path: /zones, node: node-2, status: 502}
  - heal: {node: all}
  - client: {method: GET, path: /zones, node: node-2}
  - client: {method: GET, path: /zones, node: node-1}
"""


@pytest.mark.thorough
def test_a_step_that_needs_a_node_which_stands_still_fails_after_a_while() -> None:
    result = play_virtually(parse_scenario(STILL))
    why = "node-2 has stood still for 2m, and this waits for it: "
    why += "give pause_node a `for`, or put resume_node before this step"
    assert [(one.kind, one.seen) for one in result.wrong] == [
        (kind, why) for kind in ("fault", "restart_node", "stop_node", "heal")
    ]
    assert (result.problem, 480 <= result.length < 490) == ("", True)
