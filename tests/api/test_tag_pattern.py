"""Patterns of tags (observed 23)."""

from __future__ import annotations

import pytest

from fixed_data import B1, I1, I2, UNKNOWN, Z1
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.testing.client import Json
from other_accounts import ADD, client_of, new_account


async def create(client: Client, name: str, value: str, **others: str) -> str:
    made = await client.call("POST", "/tags", {"params": {"name": name, "value": value, **others}})
    return str(made["inventory"]["uuid"])


async def attach(client: Client, tag: str, *resources: str, **tokens: str) -> Json:
    body = {"params": {"resourceUuids": resources, **({"tokens": tokens} if tokens else {})}}
    return await client.call("POST", f"/tags/{tag}/resources", body)


async def test_resources_have_the_text_of_a_pattern_until_it_is_detached_or_deleted(fixed: Client) -> None:
    gold = await create(fixed, "gold", "gold", color="#FFD700", description="best")
    env = await create(fixed, "env", "env::{name}::{owner}", type="withToken")
    assert [one["value"] for one in await fixed.query("/tags", "type=withToken")] == ["env::{name}::{owner}"]
    assert [one["success"] for one in (await attach(fixed, gold, I1, Z1))["results"]] == [True, True]
    [result] = (await attach(fixed, env, I1, name="test", owner="ann"))["results"]
    assert (result["inventory"]["tag"], result["inventory"]["tagPatternUuid"]) == ("env::test::ann", env)
    [again] = (await attach(fixed, gold, I1))["results"]
    assert (again["success"], again["error"]["code"]) == (False, "SYS.1006")
    for condition in (f"__tagUuid__={gold}", "__userTag__=gold", f"__tagUuid__?={gold},{env}"):
        assert [one["uuid"] for one in await fixed.query("/images", condition)] == [I1]
    zql = await fixed.call("GET", "/zql", query=[("zql", f"query image.uuid where __tagUuid__='{gold}'")])
    assert zql["results"] == [{"inventories": [{"uuid": I1}]}]
    assert [one["uuid"] for one in await fixed.query("/tags", f"tag.resourceUuid={Z1}")] == [gold]
    assert {one["tag"] for one in await fixed.query("/user-tags", "tagPattern.name=env")} == {"env::test::ann"}
    assert await fixed.call("DELETE", f"/tags/{gold}/resources?resourceUuids={Z1}") == {}
    assert await fixed.query("/zones", f"__tagUuid__={gold}") == []
    assert await fixed.call("DELETE", f"/tags/{gold}") == {}
    assert await fixed.query("/images", f"__tagUuid__={gold}") == []
    assert [one["uuid"] for one in await fixed.query("/tags")] == [env]


async def test_what_a_pattern_cannot_be_is_refused(fixed: Client) -> None:
    gold, env = await create(fixed, "gold", "gold"), await create(fixed, "env", "env::{name}", type="withToken")
    tag: Json = {"name": "x", "value": "x"}
    for method, path, body, expected in (
        ("POST", "/tags", {"params": {"name": "x"}}, "field[value] of message"),
        ("POST", "/tags", {"params": {**tag, "name": "x" * 129}}, "expected was <= 128, actual was 129"),
        ("POST", "/tags", {"params": {**tag, "type": "other"}}, "are [simple, withToken], but other found"),
        ("POST", "/tags", {"params": {**tag, "color": "red"}}, "Invalid color specification[red], must like #FF00FF"),
        ("POST", "/tags", {"params": {**tag, "type": "withToken"}}, "Get format[x], format must like that name::"),
        ("PUT", f"/tags/{gold}/actions", {"updateTag": {"value": "y"}}, "cannot update simple tag pattern format"),
        ("PUT", f"/tags/{env}/actions", {"updateTag": {"value": "x::{name}"}}, "you can only update token name"),
        ("PUT", f"/tags/{UNKNOWN}/actions", {"updateTag": {}}, "type:TagPatternVO] not found"),
        ("POST", f"/tags/{gold}/resources", {"params": {"resourceUuids": []}}, "must be a nonempty list"),
        ("POST", f"/tags/{gold}/resources", {"params": {"resourceUuids": [UNKNOWN]}}, "type:ResourceVO] not found"),
        ("POST", f"/tags/{gold}/resources", {"params": {"resourceUuids": [I1], "tokens": {"a": "b"}}}, "has no tokens"),
        ("POST", f"/tags/{env}/resources", {"params": {"resourceUuids": [I1]}}, "all tokens [name] must be specify"),
        ("POST", "/images", {"params": {**ADD, "tagUuids": [env]}}, f"illegal tag uuids [{env}], tag type must be"),
    ):
        with pytest.raises(CallFailed) as failed:
            await fixed.call(method, path, body)
        assert expected in str(failed.value.error["details"])
    values = {"name": "stage", "value": "env::{stage}", "color": "#00ff00"}
    changed = (await fixed.call("PUT", f"/tags/{env}/actions", {"updateTag": values}))["inventory"]
    assert {name: changed[name] for name in values} == values


async def test_a_pattern_belongs_to_an_account(fixed: Client) -> None:
    await new_account(fixed, "ann")
    admins = await create(fixed, "gold", "gold")
    async with client_of(fixed, "ann") as ann:
        hers = await create(ann, "silver", "silver")
        image = (await ann.call("POST", "/images", {"params": {**ADD, "tagUuids": [hers]}}))["inventory"]["uuid"]
        assert [one["uuid"] for one in await ann.query("/tags")] == [hers]
        assert [one["tag"] for one in await ann.query("/user-tags", f"resourceUuid={image}")] == ["silver"]
        for method, path, body in (
            ("PUT", f"/tags/{admins}/actions", {"updateTag": {"name": "x"}}),
            ("POST", f"/tags/{admins}/resources", {"params": {"resourceUuids": [image]}}),
            ("POST", f"/tags/{hers}/resources", {"params": {"resourceUuids": [B1]}}),
            ("POST", "/images", {"params": {**ADD, "tagUuids": [admins]}}),
            ("DELETE", f"/tags/{admins}", None),
        ):
            with pytest.raises(CallFailed, match=r"is not (the owner|owned by)"):
                await ann.call(method, path, body)
    assert len(await fixed.query("/tags")) == 2
    [ann_] = await fixed.query("/accounts", "name=ann")
    await fixed.call("DELETE", f"/accounts/{ann_['uuid']}")
    assert [one["uuid"] for one in await fixed.query("/tags")] == [admins]
    assert await fixed.query("/user-tags", "tag=silver") == []


async def test_a_snapshot_keeps_patterns_settings_members_and_policies(fixed: Client) -> None:
    gold = await create(fixed, "gold", "gold", color="#FFD700")
    await attach(fixed, gold, I2)
    path = f"/resource-configurations/backupStorage/reservedCapacity/{B1}/actions"
    await fixed.call("PUT", path, {"updateResourceConfig": {"value": "2G"}})
    account = await new_account(fixed, "ann")
    async with client_of(fixed, "ann") as ann:
        statement = {"effect": "Allow", "actions": ["APIUpdateImageMsg"]}
        policy = await ann.call("POST", "/accounts/policies", {"params": {"name": "p", "statements": [statement]}})
        uuid = policy["inventory"]["uuid"]
        for name in ("kid", "sis"):
            await ann.call("POST", "/accounts/users", {"params": {"name": name, "password": "x"}})
        kid, sis = [one["uuid"] for one in await ann.query("/accounts/users", sort="name")]
        group = (await ann.call("POST", "/accounts/groups", {"params": {"name": "g"}}))["inventory"]["uuid"]
        await ann.call("POST", f"/accounts/groups/{group}/users", {"params": {"userUuid": kid}})
        await ann.call("POST", f"/accounts/groups/{group}/policies", {"params": {"policyUuid": uuid}})
        await ann.call("POST", f"/accounts/users/{sis}/policies", {"params": {"policyUuid": uuid}})
        [reading] = [one["uuid"] for one in await ann.query("/accounts/policies", "name=DEFAULT-READ")]
        await ann.call("DELETE", f"/accounts/users/{sis}/policies/{reading}")
    taken = await fixed.request("GET", f"{fixed.url}/lab/v1/snapshot")
    await fixed.call("DELETE", f"/tags/{gold}")
    assert (await fixed.request("PUT", f"{fixed.url}/lab/v1/snapshot", data=taken.text.encode())).status < 300
    assert [one["uuid"] for one in await fixed.query("/images", f"__tagUuid__={gold}")] == [I2]
    assert [one["value"] for one in await fixed.query("/resource-configurations")] == ["2G"]
    users = "/accounts/users"
    for condition, expected in (
        ("group.name=g", ["kid"]),
        ("policy.name=p", ["sis"]),
        ("policy.name=DEFAULT-READ", ["kid"]),
    ):
        found = await fixed.query(users, condition, f"accountUuid={account}")
        assert [one["name"] for one in found] == expected
    assert [one["name"] for one in await fixed.query("/accounts/groups", "policy.name=p")] == ["g"]
