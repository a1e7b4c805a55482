"""Stories of several nodes: what their steps may name, and where such stories are refused."""

from __future__ import annotations

import pytest

from imagestore_sim.scenario.format.reader import ScenarioError, parse_scenario
from imagestore_sim.scenario.worlds import remote_lab_rules
from rows import rows

ONE = "title: t\nhosts: {h-1: }\n"
THREE = ONE + "nodes: 3\nnode: {cluster_mode: quick}\n"


def test_steps_read_as_they_are_written() -> None:
    steps = """\
timeline:
  - kill_node: {node: "node-{1..2}"}
  - kill_node: {node: node-3, commits: 2, down: 5s}
  - restart_node: {node: "*", down: 5s}
  - stop_node: {node: node-1, for: 5s}
  - start_node: {node: node-1}
  - pause_node: {node: node-1, for: 40s}
  - resume_node: {}
  - partition: {node: node-1, from: [database, nodes], for: 1m}
  - partition: {node: node-1, from: [database, nodes], others: [node-2, node-3]}
  - heal_partition: {from: hosts}
  - heal_partition: {node: node-1, from: nodes, others: node-2}
  - skew_clock: {node: node-2, by: -1h}
  - call: {method: GET, path: /zones, node: node-1}
  - expect: {query: /management-nodes, node: node-2, count: 3}
  - expect: {storage: h-1, owner: node-2}
"""
    assert [str(step) for step in parse_scenario(THREE + steps).timeline] == [
        "kill node node-1, node-2",
        "kill node node-3: after commit 2, down for 5s",
        "restart node *: down for 5s",
        "stop node node-1 for 5s",
        "start node node-1",
        "pause node node-1 for 40s",
        "resume node *",
        "partition node-1 from database and nodes for 1m",
        "partition node-1 from database and node-2 and node-3",
        "heal partition * from hosts",
        "heal partition node-1 from node-2",
        "skew clock node-2 1h behind",
        "call GET /zones at node-1",
        "expect GET /management-nodes at node-2: count 3",
        "expect h-1: owner node-2",
    ]


@rows(
    ("story", "step", "complaint"),
    [
        (
            ONE,
            "pause_node: {node: node-1, for: 5s}",
            "timeline.1.pause_node: pause_node needs several nodes; expected n",
        ),
        (ONE, "kill_node: {node: node-1}", "timeline.1.kill_node.node: the story has one node; expected nodes: 2 or"),
        (ONE, "call: {method: GET, path: /zones, node: node-1}", "timeline.1.call.node: the story has one node"),
        (ONE, "expect: {storage: h-1, owner: node-1}", "timeline.1.expect.owner: the story has one node"),
        (THREE, "kill_node: {}", "timeline.1.kill_node: expected the node that is meant, of node-1, node-2, node-3"),
        (THREE, "stop_node: {node: node-4}", "timeline.1.stop_node.node: node-4 is not known here; expected node-1"),
        (THREE, "stop_node: {node: m*}", "timeline.1.stop_node.node: no node matches m*; there are node-1, node-2"),
        (THREE, "client: {method: GET, path: /zones, node: x}", "timeline.1.client.node: x is not known here"),
        (THREE, "expect: {query: /zones, node: x, count: 1}", "timeline.1.expect.node: x is not known here"),
        (THREE, "expect: {query: /zones, node: node-1}", "expected one of these keys for the query"),
        (THREE, "expect: {storage: h-1, node: node-1}", "node is not a key for a storage"),
        (THREE, "expect: {storage: h-1, owner: node-9}", "timeline.1.expect.owner: node-9 is not known here"),
        (THREE, "partition: {node: node-1, from: moon}", "timeline.1.partition.from"),
        (THREE, "partition: {node: node-1, from: nodes, others: node-7}", "timeline.1.partition.others: node-7 is not"),
        (THREE, "partition: {node: node-1, from: hosts, others: node-2}", "timeline.1.partition.others: expected only"),
        (THREE, "program: {command: x}", "timeline.1.program: a program runs against one node"),
        (ONE + "nodes: 10\n", "note: x", "nodes: expected 9 or less"),
    ],
)
def test_a_story_is_refused_that_means_nodes_that_there_are_not(story: str, step: str, complaint: str) -> None:
    with pytest.raises(ScenarioError) as found:
        parse_scenario(f"{story}timeline:\n  - {step}\n")
    assert complaint in str(found.value)


def test_stories_of_several_nodes_are_played_on_simulated_hosts_only() -> None:
    text = ONE + "nodes: 2\ntimeline: [note: x]\n"
    with pytest.raises(ScenarioError, match=r"nodes: a lab that is running \(--node\) is one node"):
        parse_scenario(text, rules=remote_lab_rules.broken_rules)


def test_stories_of_several_nodes_are_not_played_on_containers() -> None:
    pytest.importorskip("aiodocker", reason="needs the extra `compose`")
    from imagestore_sim.scenario.worlds import container_rules

    with pytest.raises(ScenarioError, match="nodes: containers: several nodes are played in one process"):
        parse_scenario(THREE + "timeline: [note: x]\n", rules=container_rules.broken_rules)
