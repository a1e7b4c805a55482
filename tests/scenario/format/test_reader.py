"""Reading scenario files: an error names file, line, column, and what was expected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from example_scenario import EXAMPLE
from imagestore_sim.scenario.format.reader import ScenarioError, parse_scenario, read_scenario
from rows import rows


def test_a_scenario_reads_as_it_is_written() -> None:
    scenario = parse_scenario(EXAMPLE)
    assert [str(step) for step in scenario.timeline] == [
        "eventually gold: Connected, within 5s",
        "fill over 5m to 100% on imagestore-1",
        "expect gold: Connected, availableCapacity 0",
        "resize size 2 TiB on imagestore-1",
        "eventually gold: availableCapacity 1 TiB, within 15s",
    ]
    assert [step.at for step in scenario.timeline] == [0, 60, 420, 480, None]


@rows(
    ("was", "instead", "complaint"),
    [
        ("fill:", "fil:", "line 11, column 5: timeline.2.fil: fil is not known here; expected at, after"),
        ("5m}", "5x}", "line 11, column 42: timeline.2.fill.over: '5x' is no duration, such as 90s, 2m30s or 1.5h"),
        ("imagestore-1, to", "imagestor-1, to", "line 11, column 12: timeline.2.fill.host: imagestor-1 is not known"),
        ("at: 8m", "at: 5m", "line 14, column 5: timeline.4.at: time goes back: expected 7m or later"),
        (
            "over",
            "ovr",
            "line 11, column 42: timeline.2.fill.ovr: ovr is not known here; expected host, path, to, over",
        ),
        (
            "- at: 7m",
            "- {at: 7m, fault: {node: answer_lost, when: {apo: Add*}}}\n  - at: 7m",
            "timeline.3.fault.when.apo: apo is not known here; expected api, path, method,",
        ),
        ("Connected, within: 5s", "Connected", "line 9, column 5: timeline.1.eventually.within: is missing"),
        ("title: The", "titel: The", "line 1, column 1: titel: titel is not known here; expected title"),
        ("gold, status: D", "gld, status: D", "line 18, column 13: invariants.1.never.storage: gld is not known"),
        ("ping.interval", "ping.intervl", "line 6, column 12: settings.ping.intervl: ping.intervl is not known"),
        ("interval: 10s", "interval: 0s", "line 6, column 12: settings.ping.interval: Global config"),
        ("Capacity: 0", "Capacity: much", "timeline.3.expect.availableCapacity: expected a size such as 1 TiB"),
        ("100%", "120%", "line 11, column 32: timeline.2.fill.to: '120%' is more than 100%"),
        ("at: 1m\n", "at: 1m\n    at: 2m\n", "line 11, column 5: at is given twice"),
        ("{size: 1 TiB", "{size: 1 TiBB", "line 3, column 18: hosts.imagestore-1.size: '1 TiBB' is no size"),
        ("- at: 1m", "- at 1m", "not valid YAML"),
        ("name: imagestore", "name: imagestroe", "line 5, column 18: storages.1.hostname: imagestroe-1 is not known"),
        ("fill: {", "fault: {kind: fil, ", "line 11, column 13: timeline.2.fault.kind: fil is not known here"),
        (
            "fill: {host: imagestore-1, ",
            "fault: {kind: fill, ",
            "timeline.2.fault: expected a host that the fault is on",
        ),
        ("    resize:", "    heal: {}\n    resize:", "timeline.4: expected exactly one of fault"),
        (
            "- at: 7m",
            "- {at: 7m, heal: }\n  - at: 7m",
            "timeline.3.heal: expected a value, but it has none; {} stands for",
        ),
        ("- at: 7m", "- {at: 7m, wait: null}\n  - at: 7m", "timeline.3.wait: expected a value, but it has none"),
        (
            "- at: 7m",
            f"- {{at: 7m, call: {{method: PUT, path: /zones, body: {{a: {10**30}}}}}}}\n  - at: 7m",
            "timeline.3.call.body: expected what JSON can hold: Integer exceeds 64-bit range",
        ),
        ("status: Disconnected", "status: '> 3'", "texts are compared with = and != only"),
        ("status: Disconnected", "reason: hung", "reason is not a key for a storage; expected exists, status"),
        ("status: Disconnected", "status: Disconnected, during: 5s", "an invariant holds to the end"),
        ("- at: 7m", "- every: 5s", "timeline.3: expected every and until together"),
        ("- at: 7m", "- {at: 7m, call: {method: GET, path: /zones/$nowhere}}\n  - at: 7m", "$nowhere: nowhere is not"),
        ("- at: 7m", "- {at: 7m, call: {method: GET, path: zones}}\n  - at: 7m", "expected a path such as"),
        (
            "hosts:\n  imagestore-1",
            "hosts:\n  imagestore-{9..1}",
            "line 3, column 3: hosts.imagestore-{9..1}: {9..1} is no range",
        ),
        ("name: gold", "name: 'gold-{2..1}'", "line 5, column 6: storages.1.name: {2..1} is no range"),
        (
            "name: imagestore-1,",
            "name: 'imagestore-{2..1}',",
            "line 5, column 18: storages.1.hostname: {2..1} is no range",
        ),
        (
            "name: gold",
            "name: 'gold-{1..2}'",
            "line 5, column 27: storages.1.hostname: gold-{1..2} stands for 2 storages, but imagestore-1 for 1 hosts",
        ),
        (
            "url: /Cloud_bs}",
            "url: /Cloud_bs}\n  - {name: gold, hostname: imagestore-1}",
            "line 6, column 6: storages.2.name: gold is given twice",
        ),
        (EXAMPLE, "", "title: is missing: it is required"),
        (EXAMPLE, "[]", "expected a mapping with title"),
        pytest.param(EXAMPLE, "x" * 70_000, f"but got '{'x' * 79}...", id="one long word"),
    ],
)
def test_a_mistake_is_reported_with_its_place(was: str, instead: str, complaint: str) -> None:
    assert was in EXAMPLE
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(EXAMPLE.replace(was, instead), "outage.yaml")
    assert str(caught.value).startswith("outage.yaml")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@rows(
    ("expectation", "complaint"),
    [
        (
            "query: /zones, count: three",
            "count: expected a whole number, or a comparison such as '>= 2', but got 'three'",
        ),
        ("query: /zones, count: 2.5", "count: expected a whole number, or a comparison such as '>= 2', but got '2.5'"),
        ("storage: gold, sshPort: ssh", "sshPort: expected a whole number, or "),
        ("image: debian, copies: two", "copies: expected a whole number, or "),
        (
            "image: debian, size: large",
            "size: expected a size such as 1 GiB, or a comparison such as '< 1 GiB'",
        ),
        ("metric: m, value: lots", "value: expected a number, a size such as 1 TiB, or a comparison such as '>= 0.5'"),
        ("storage: gold, status: []", "status: expected a value, a comparison such as '!= Connected', or a list of"),
        ("query: /zones, count: []", "count: expected a value, a comparison such as '>= 2', or a list of values"),
    ],
)
def test_an_expectation_that_cannot_be_read_says_what_its_field_holds(expectation: str, complaint: str) -> None:
    text = f"{EXAMPLE.partition('timeline:')[0]}timeline:\n  - expect: {{{expectation}}}\n"
    with pytest.raises(ScenarioError, match=re.escape(f"timeline.1.expect.{complaint}")):
        parse_scenario(text)


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml: cannot be read: No such file"):
        read_scenario(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"title: \xe4")
    with pytest.raises(ScenarioError, match=r"latin\.yaml: is not UTF-8 text"):
        read_scenario(tmp_path / "latin.yaml")


def test_ranges_stand_for_many_hosts_and_storages() -> None:
    scenario = parse_scenario(
        """
title: many
hosts: {"h-{1..3}": {size: 1 TiB}}
storages: [{name: "s-{1..3}", hostname: "h-{1..3}"}]
timeline: [{note: nothing happens}]
"""
    )
    assert [(one.name, one.hostname) for one in scenario.all_storages()] == [
        ("s-1", "h-1"),
        ("s-2", "h-2"),
        ("s-3", "h-3"),
    ]
