"""`imagestore-sim openapi`: the documents, without a node."""

from __future__ import annotations

import json

import pytest

from processes import run_here


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ((), "/zstack/v1/zones/{uuid}/actions"),
        (("--unfolded",), "/zstack/v1/zones/{uuid}/actions#updateZone"),
        (("--lab",), "/lab/v1/hosts"),
    ],
)
def test_it_prints_a_document(options: tuple[str, ...], path: str) -> None:
    finished = run_here("openapi", *options)
    assert (finished.status, finished.errors) == (0, "")
    assert path in json.loads(finished.output)["paths"]


def test_the_lab_s_api_has_nothing_to_unfold() -> None:
    finished = run_here("openapi", "--lab", "--unfolded")
    assert (finished.status, finished.output) == (2, "")
    assert "--unfolded: the lab's API has one operation a path" in finished.errors
