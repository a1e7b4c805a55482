"""The step `upload_image`: a client that sends the bits of images."""

from __future__ import annotations

import pytest

from imagestore_sim.scenario.format.reader import ScenarioError, parse_scenario
from imagestore_sim.scenario.replay import play_virtually

HEAD = """
title: t
hosts: {imagestore-1: {}}
timeline:
  - add_image: {image: one, url: "upload://one", long_job: job}
  - eventually: {query: /longjobs/$job, each: {state: Running}, within: 5s}
"""


def wrong_in(steps: str) -> list[tuple[str, str]]:
    """Return the steps that did not hold, and what was seen."""
    result = play_virtually(parse_scenario(HEAD + steps), file="s.yaml", seed=1)
    assert not result.problem
    return [(one.text, one.seen) for one in result.wrong]


def test_a_later_step_goes_on_where_one_has_broken_off() -> None:
    steps = """
  - upload_image: {image: one, size: 4 MiB, pieces: 4, sends: 2, every: 2s}
  - expect: {image: one, status: Downloading}
  - upload_image: {image: one, size: 4 MiB, pieces: 4}
  - expect: {image: one, status: Ready, onDisk: 4 MiB}
  - expect: {query: /longjobs/$job, each: {state: Succeeded}}
"""
    assert wrong_in(steps) == []


def test_a_piece_that_is_refused_fails_the_step_unless_that_is_expected() -> None:
    steps = """
  - upload_image: {image: one, size: 4 MiB, pieces: 2, sends: 1}
  - wait: 40s
  - expect: {query: /longjobs/$job, each: {state: Suspended}}
  - upload_image: {image: one, size: 4 MiB, pieces: 2, status: 409}
  - upload_image: {image: one, size: 4 MiB, pieces: 2}
  - call: {method: PUT, path: /longjobs/$job/actions, body: {resumeLongJob: {}}}
  - upload_image: {image: one, size: 4 MiB, pieces: 2}
  - upload_image: {image: one}
"""
    inactive = "uploading has been inactive more than 30 sec"
    refused, late = wrong_in(steps)
    assert refused == ("upload image one: 2 of 2 pieces", f"409 {inactive}")
    assert late == ("upload image one: 1 of 1 pieces", "0 no image waits for its upload")


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("{image: two}", "two is not known here; expected one"),
        ("{image: one, size: 1 GiB}", "upload_image.size"),
        ("{image: one, pieces: 0}", "upload_image.pieces"),
    ],
)
def test_a_step_that_cannot_be_is_refused(step: str, complaint: str) -> None:
    with pytest.raises(ScenarioError, match=complaint):
        parse_scenario(f"{HEAD}  - upload_image: {step}\n")
