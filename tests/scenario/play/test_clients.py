"""Clients under test in a story: what they get of a management plane that fails, and how often they try."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagestore_sim.scenario.format.reader import ScenarioError, read_scenario
from imagestore_sim.scenario.play.results import Result, Verdict
from imagestore_sim.scenario.replay import replay_file

HEAD = """
title: A client and a management plane that fails
hosts: {imagestore-1: {size: 1 TiB}}
storages: []
timeline:
"""
ADD = (
    "{method: POST, path: /backup-storage/image-store, body: {params: {name: gold, hostname: imagestore-1,"
    " username: root, password: password, url: /Cloud_bs}}, "
)


def play(folder: Path, *steps: str) -> Result:
    file = folder / "story.yaml"
    file.write_text(HEAD + "".join(f"  - {step}\n" for step in steps))
    return replay_file(file)


def verdicts(result: Result) -> list[tuple[Verdict, str]]:
    return [(one.verdict, one.seen) for one in result.steps if one.kind == "client"]


def test_a_client_that_tries_again_finds_that_its_lost_call_was_carried_out(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        "fault: {node: answer_lost, when: {api: AddImageStoreBackupStorage, first: 1}}",
        f"client: {ADD}retries: 1, error: SYS.1006, says: duplicate, sent: 2}}",
        "expect: {query: '/backup-storage?q=name=gold', count: 1}",
    )
    assert [one.verdict for one in result.steps] == [Verdict.HELD] * 3
    asked = [(one["method"], one["path"], one["status"]) for one in result.log if one["kind"] == "client"]
    added = ("POST", "/backup-storage/image-store")
    assert asked == [("PUT", "/accounts/login", 200), (*added, 0), (*added, 202), ("GET", "/api-jobs", 503)]


def test_a_client_gives_up_on_an_answer_that_is_later_than_its_timeout(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        "fault: {node: latency, delay: 21s}",
        "client: {method: GET, path: /zones, timeout: 22s, seconds: 42}",  # the login is as late
        "client: {method: GET, path: /zones, status: 0, says: no answer within 20s, seconds: 20}",
        "heal: {node: latency}",
        "client: {method: GET, path: /zones, seconds: 0}",
    )
    assert [one.verdict for one in result.steps] == [Verdict.HELD] * 5
    [window] = result.windows
    assert (window.host, window.began, window.ended) == ("node", 0, 62)


def test_a_client_gives_up_on_a_job_that_never_ends(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        "fault: {node: job_stuck}",
        "client: {method: POST, path: /zones, body: {params: {name: z}}, gives_up: 1m, status: 0, says: within 1m}",
        "expect: {query: '/zones?q=name=z', count: 1}",
    )
    assert [one.verdict for one in result.steps] == [Verdict.HELD] * 3


def test_a_client_that_does_not_try_again_sends_each_call_once(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        "client: {method: GET, path: /zones}",
        "fault: {node: answer_lost, when: {method: GET, first: 1}}",
        "client: {method: GET, path: /zones, status: 0, says: broke the connection off, sent: 1}",
        "fault: {node: answer_lost, how: close, when: {method: GET, first: 1}}",
        "client: {method: GET, path: /zones, retries: 1, sent: 2}",
    )
    assert [one.verdict for one in result.steps] == [Verdict.HELD] * 5


def test_a_client_that_reads_when_its_session_expires_logs_in_by_its_own_clock(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        "client: {method: GET, path: /zones, reads_expiry: true}",
        "client: {method: GET, path: /zones, reads_expiry: true}",
        "fault: {node: clock_skew, by: -3h}",
        "client: {method: GET, path: /zones, who: another, reads_expiry: true}",
        "client: {method: GET, path: /zones, who: another, reads_expiry: true}",
        "heal: {node: all}",
    )
    assert [one.verdict for one in result.steps] == [Verdict.HELD] * 6
    logins = [one["who"] for one in result.log if one["kind"] == "client" and one["path"] == "/accounts/login"]
    assert logins == ["client", "another", "another"]


def test_clients_have_sessions_of_their_own_and_may_log_in_again(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        "client: {method: GET, path: /zones, who: one}",
        "client: {method: GET, path: /zones, who: two}",
        "fault: {node: session_expired, when: {client: one, first: 1}}",
        "client: {method: GET, path: /zones, who: two}",
        "client: {method: GET, path: /zones, who: one, error: ID.1001, sent: 1}",
        "client: {method: GET, path: /zones, who: one, logs_in_again: true, sent: 2}",
    )
    assert verdicts(result) == [
        (Verdict.HELD, "200, sent once in 0 s"),
        (Verdict.HELD, "200, sent once in 0 s"),
        (Verdict.HELD, "200, sent once in 0 s"),
        (Verdict.HELD, verdicts(result)[3][1]),
        (Verdict.HELD, "200, sent 2 times in 1 s"),
    ]


def test_calls_and_expectations_look_past_the_faults_of_the_management_plane(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        "fault: {node: status, code: 500}",
        "fault: {node: session_expired, everyone: true}",
        "client: {method: GET, path: /zones, status: 0, says: the login failed}",
        "call: {method: POST, path: /zones, body: {params: {name: z}}}",
        "expect: {query: '/zones?q=name=z', count: 1}",
        "heal: {node: all}",
        "client: {method: GET, path: /zones}",
    )
    assert [one.verdict for one in result.steps] == [Verdict.HELD] * 7


def test_what_a_client_gets_is_compared_with_what_is_expected(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        "client: {method: GET, path: /zones, sent: 2}",
        "client: {method: GET, path: /zones, says: nothing of the kind}",
        "client: {method: GET, path: /zones, status: 503}",
        "client: {method: GET, path: /zones, error: ID.1001}",
        "heal: {node: all}",
    )
    assert [one.verdict for one in result.steps] == [Verdict.FAILED] * 5


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("fault: {node: answer_lots}", "timeline.1.fault.node: answer_lots is not known here; .*did you mean answer_l"),
        ("fault: {node: latency, delai: 1s}", "timeline.1.fault.delai: delai is not known here; expected node, "),
        ("fault: {node: latency, when: {nth: 0}}", "timeline.1.fault.when.nth: "),
        ("fault: {node: missing_field}", "expected field for a missing_field: it is missing"),
        ("heal: {node: latenzy}", "timeline.1.heal.node: latenzy is not known here; expected all, "),
        ("heal: {node: all, host: imagestore-1}", "expected node alone: faults of hosts are healed by another step"),
        ("client: {method: GET, path: /zones, retries: -1}", "timeline.1.client.retries: "),
        ("client: {method: GET, path: /zoness}", "timeline.1.client.path: no API has the path /zoness"),
        ("client: {method: GET, path: /zones, error: ID.9}", "timeline.1.client.error: ID.9 is not known here"),
    ],
)
def test_a_mistake_in_a_step_is_told_with_its_place(tmp_path: Path, step: str, complaint: str) -> None:
    file = tmp_path / "story.yaml"
    file.write_text(f"{HEAD}  - {step}\n")
    with pytest.raises(ScenarioError, match=complaint):
        read_scenario(file)


def test_a_client_waits_for_the_post_of_its_job_and_counts_what_arrives(tmp_path: Path) -> None:
    result = play(
        tmp_path,
        "fault: {node: hook_duplicated, when: {first: 1}}",
        "client: {method: POST, path: /zones, body: {params: {name: a}}, hook: true, sent: 1}",
        "wait: 1s",
        "client: {method: POST, path: /zones, body: {params: {}}, hook: true, error: SYS.1007, posts: 3}",
        "fault: {node: hook_lost, when: {first: 1}}",
        "client: {method: POST, path: /zones, body: {params: {name: b}}, hook: true, gives_up: 1m, status: 0}",
    )
    assert [one.verdict for one in result.steps] == [Verdict.HELD] * 6
    assert result.steps[-1].seen == "0, sent once in 60 s: no post has come within 1m"
