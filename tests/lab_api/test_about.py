"""What a node says of itself, and the sessions that it begins without a password."""

from __future__ import annotations

import pytest

from imagestore_sim import __version__
from imagestore_sim.lab import Lab
from imagestore_sim.testing import Client


async def test_a_lab_says_what_it_allows(shared_client: Client) -> None:
    about = (await shared_client.request("GET", f"{shared_client.url}/lab/v1/about")).body
    assert about.pop("version") == __version__
    assert about == {
        "zstack": "5.2", "strict": False, "seed": 0, "ready": True, "mayChange": True, "tokenNeeded": False,
        "hasHosts": True, "sharesStore": False, "clockAdjustable": True,
    }  # fmt: skip


@pytest.mark.imagestore_lab(hosts=0)
async def test_a_session_begins_without_a_password(imagestore_lab: Lab, imagestore_client: Client) -> None:
    url = f"{imagestore_lab.url}/lab/v1/sessions"
    begun = await imagestore_client.request("POST", url, {"account": "admin"})
    assert begun.status == 201
    session = {"Authorization": f"OAuth {begun.body['sessionUuid']}"}
    assert (await imagestore_client.request("GET", "/zones", headers=session)).status == 200
    assert (await imagestore_client.request("POST", url, {})).status == 201
    refused = await imagestore_client.request("POST", url, {"account": "nobody"})
    assert (refused.status, refused.body) == (404, {"error": "there is no account 'nobody'"})
    assert (await imagestore_client.request("POST", url, {"password": "x"})).status == 400
    await imagestore_client.call(
        "PUT", "/global-configurations/identity/session.maxConcurrent/actions",
        {"updateGlobalConfig": {"value": "1"}},
    )  # fmt: skip
    full = await imagestore_client.request("POST", url, {})
    assert (full.status, "Login sessions hit limit" in full.body["error"]) == (409, True)


@pytest.mark.imagestore_lab(hosts=0, lab_api=False)
async def test_a_closed_node_begins_no_session(imagestore_lab: Lab, imagestore_client: Client) -> None:
    url = imagestore_lab.url
    about = (await imagestore_client.request("GET", f"{url}/lab/v1/about")).body
    assert about["mayChange"] is False
    refused = await imagestore_client.request("POST", f"{url}/lab/v1/sessions", {})
    assert (refused.status, "--lab-api" in refused.body["error"]) == (403, True)
