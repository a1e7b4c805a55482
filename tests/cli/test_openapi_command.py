"""`imagestore-sim openapi`: the documents, without a node."""

from __future__ import annotations

import json

import pytest

from imagestore_sim.cli.exits import InputError
from imagestore_sim.cli.openapi import openapi


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, "/zstack/v1/zones/{uuid}/actions"),
        ({"unfolded": True}, "/zstack/v1/zones/{uuid}/actions#updateZone"),
        ({"lab": True}, "/lab/v1/hosts"),
    ],
)
def test_it_prints_a_document(options: dict[str, bool], path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert openapi(**options) == 0
    assert path in json.loads(capsys.readouterr().out)["paths"]


def test_the_lab_s_api_has_nothing_to_unfold() -> None:
    with pytest.raises(InputError, match="--unfolded: the lab's API has one operation a path"):
        openapi(unfolded=True, lab=True)
