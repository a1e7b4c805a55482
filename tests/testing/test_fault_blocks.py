"""Faults of the management plane in a test: a block in which it fails, for blocking tests and those on a loop."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from imagestore_sim.faults import FaultProblem
from imagestore_sim.lab import Lab
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.testing.lab_thread import running_lab

pytestmark = pytest.mark.imagestore_lab(hosts=0)


@pytest.fixture(scope="module")
def blocking_lab() -> Iterator[Any]:
    """Return a stand-in for a lab on its own thread, as users get it."""
    with running_lab(hosts=0) as running:
        yield running.lab


def test_a_blocking_client_meets_a_fault_during_a_block(blocking_lab: Any) -> None:
    url = f"{blocking_lab.url}/zstack/v1/management-nodes/actions"
    request = urllib.request.Request(url, b'{"getVersion": {}}', {"Content-Type": "application/json"}, method="PUT")
    with blocking_lab.fault("answer_lost", when={"method": "PUT"}) as fault:
        with pytest.raises((OSError, http.client.HTTPException)):
            urllib.request.urlopen(request)
        assert fault.hits == 1
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    assert fault.healed_by == "hand"


async def test_a_client_on_a_loop_meets_a_fault_during_a_block(imagestore_lab: Lab, imagestore_client: Client) -> None:
    async with imagestore_lab.fault("api_error", code="SYS.1003", when={"api": "Query*", "nth": 2}) as fault:
        assert await imagestore_client.query("/zones") is not None
        with pytest.raises(CallFailed, match=r"SYS\.1003"):
            await imagestore_client.query("/zones")
    assert fault.hits == 1


def test_a_fault_that_is_not_possible_fails_the_test_with_one_line(blocking_lab: Any) -> None:
    with (
        pytest.raises(FaultProblem, match=r"^fault latency: delai: is unknown"),
        blocking_lab.fault("latency", delai="1s"),
    ):
        pass


@pytest.mark.imagestore_lab(hosts=0, fault=("api_error code=SYS.1006 details='a b' api=QueryZone first=1",))
async def test_a_lab_may_begin_with_faults(imagestore_client: Client) -> None:
    with pytest.raises(CallFailed, match="a b"):
        await imagestore_client.query("/zones")
    assert await imagestore_client.query("/zones") is not None
