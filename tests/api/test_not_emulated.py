"""APIs that are not emulated answer that they are not, and never a 404 that looks like a typo."""

from __future__ import annotations

import re

import pytest

from fixed_data import B1
from imagestore_sim.api import all_handlers
from imagestore_sim.api.not_emulated import refuse
from imagestore_sim.rest.parameters import Api
from imagestore_sim.testing import CallFailed, Client

LEFT_OUT = [message.api for message, handler in all_handlers().by_message.items() if handler is refuse]


@pytest.mark.parametrize("path_number", [0, 1])
async def test_every_api_that_is_not_emulated_answers_so(fixed: Client, path_number: int) -> None:
    for api in LEFT_OUT:
        for path in api.paths[path_number : path_number + 1]:
            with pytest.raises(CallFailed) as caught:
                await fixed.call(api.method, re.sub(r"\{\w+\}", B1, path), body_of(api))
            assert (caught.value.status, caught.value.code) == (503, "SYS.1014"), api.name
            assert caught.value.error["details"] == f"not emulated: {api.name}, see docs/fidelity.md"


def body_of(api: Api) -> dict[str, object] | None:
    return None if api.method in ("GET", "DELETE") else {api.body_key: {}}


async def test_even_an_api_that_is_not_emulated_needs_a_session(fixed: Client) -> None:
    fixed.session_uuid = None
    answer = await fixed.request("GET", "/backup-storage/ceph")
    assert (answer.status, answer.text) == (400, "missing header 'Authorization'")
