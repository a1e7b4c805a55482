"""Play an AI assistant's session with the vendor's MCP server over stdio, in the environment of that server.

    python drive.py SERVER URL SSH_CONFIG

Prints `ok: STEP` for each step, and exits with status 1 at the first failure.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

MISSING = "0123456789ab4def8123456789abcdef"
NAMESPACE = "ZStack/BackupStorage"
BLOB_MEBIBYTES = 1024
CURVE_SECONDS = 30.0
Json = dict[str, Any]


class Assistant:
    """Calls the tools of the MCP server and reads their answers."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def tool(self, name: str, **arguments: object) -> str:
        """Call a tool and return the text of its answer."""
        result = await self._session.call_tool(name, arguments)
        return "\n".join(getattr(part, "text", "") for part in result.content)

    async def execute(self, api: str, **parameters: object) -> Json:
        """Call execute_api and return its whole answer: `success` with `result`, or with an error."""
        output = await self.tool("execute_api", api_name=api, parameters=parameters)
        answer: Json = json.loads(output)
        return answer

    async def call(self, api: str, **parameters: object) -> Json:
        """Call an API that must succeed, and return its result. Raise SystemExit if it fails."""
        answer = await self.execute(api, **parameters)
        expect(answer.get("success") is True, answer)
        result: Json = answer["result"]
        return result

    async def storages(self, *conditions: tuple[str, str, str], **parameters: object) -> list[Json]:
        """Return the ImageStores that meet all `conditions`, each (field, operator, value)."""
        requested = [{"name": name, "op": op, "value": value} for name, op, value in conditions]
        found: list[Json] = (await self.call("QueryImageStoreBackupStorage", conditions=requested, **parameters))[
            "inventories"
        ]
        return found


def step(name: str) -> None:
    """Print that a step succeeded."""
    print(f"ok: {name}", flush=True)


def expect(holds: bool, found: object) -> None:
    """Exit with an error that shows `found` unless a condition holds."""
    if not holds:
        raise SystemExit(f"failed: unexpected {found}\n{''.join(traceback.format_stack(limit=4))}")


async def look_up(assistant: Assistant) -> None:
    output = await assistant.tool("search_api", keywords=["ImageStoreBackupStorage"])
    expect("QueryImageStoreBackupStorage" in output, output)
    step("search")
    output = await assistant.tool("describe_api", api_name="QueryImageStoreBackupStorage")
    expect("availableCapacity" in output, output)
    step("describe")


async def query(assistant: Assistant) -> list[Json]:
    found = await assistant.storages()
    expect([one["name"] for one in found] == ["imagestore-1", "imagestore-2", "imagestore-3"], found)
    step("query")
    conditions = (("name", "like", "imagestore-%"), ("status", "in", "Connected,Connecting"), ("sshPort", "=", "22"))
    some = await assistant.storages(*conditions, sortBy="name", sortDirection="desc", limit=2)
    expect([one["name"] for one in some] == ["imagestore-3", "imagestore-2"], some)
    step("query with conditions")
    some = await assistant.storages(("uuid", "=", found[0]["uuid"]), fields=["name", "status"])
    expect(some == [{"name": "imagestore-1", "status": "Connected"}], some)
    step("query fields")
    expect(await assistant.storages(("uuid", "=", MISSING)) == [], MISSING)
    step("query what is missing")
    return found


async def change(assistant: Assistant, storage: Json, zone: str) -> None:
    uuid = storage["uuid"]
    again = (await assistant.call("ReconnectImageStoreBackupStorage", uuid=uuid))["inventory"]
    expect(again["status"] == "Connected", again)
    step("reconnect")
    disabled = (await assistant.call("ChangeBackupStorageState", uuid=uuid, stateEvent="disable"))["inventory"]
    expect(disabled["state"] == "Disabled", disabled)
    step("change state")
    detached = await assistant.call("DetachBackupStorageFromZone", backupStorageUuid=uuid, zoneUuid=zone)
    expect(detached["inventory"]["attachedZoneUuids"] == [], detached)
    step("detach")
    attached = await assistant.call("AttachBackupStorageToZone", backupStorageUuid=uuid, zoneUuid=zone)
    expect(attached["inventory"]["attachedZoneUuids"] == [zone], attached)
    step("attach")


async def measure(assistant: Assistant, storages: list[Json]) -> None:
    total = sum(one["totalCapacity"] for one in storages)
    found = await assistant.call("GetBackupStorageCapacity", all=True)
    expect(found["totalCapacity"] == total, found)
    step("capacities")
    types = await assistant.call("GetBackupStorageTypes")
    expect("ImageStoreBackupStorage" in str(types), types)
    step("types")


async def curve(assistant: Assistant, storage: Json, metric: str, since: int) -> list[float]:
    """Return the values of a storage's metric from `since` (Unix seconds), one for each second."""
    output = await assistant.tool(
        "get_metric_data",
        namespace=NAMESPACE,
        metric_name=metric,
        start_time=since,
        period=1,
        labels={"BackupStorageUuid": storage["uuid"]},
    )
    answer: Json = json.loads(output)
    expect(answer.get("success") is True, answer)
    return [point["value"] for point in answer["result"]["data"]]


async def fill(assistant: Assistant, storage: Json, ssh_config: str) -> None:
    """Write a file to a host over SSH, and expect its storage's capacity to fall at the next ping."""
    since, size = int(time.time()), BLOB_MEBIBYTES * 2**20
    before: float = storage["availableCapacity"]
    write = f"dd if=/dev/zero of=/Cloud_bs/export/blob bs=1M count={BLOB_MEBIBYTES}"
    ssh = await asyncio.create_subprocess_exec(
        "ssh", "-F", ssh_config, storage["hostname"], write, stdin=asyncio.subprocess.DEVNULL
    )
    expect(await ssh.wait() == 0, "ssh failed")
    while (await curve(assistant, storage, "AvailableCapacityInBytes", since))[-1:] != [before - size]:
        expect(time.time() - since < CURVE_SECONDS, await curve(assistant, storage, "AvailableCapacityInBytes", since))
        await asyncio.sleep(1)
    points = await curve(assistant, storage, "AvailableCapacityInBytes", since)
    expect(points[0] == before and points == sorted(points, reverse=True), points)
    used = await curve(assistant, storage, "UsedCapacityInPercent", since)
    expect(len(used) >= len(points) and used == sorted(used) and used[-1] > used[0], used)
    step("a curve of the disk that fills up")


async def look_for_metrics(assistant: Assistant) -> None:
    found = await assistant.call("GetAllMetricMetadata", namespace=NAMESPACE)
    expect("AvailableCapacityInBytes" in str(found), found)
    summary = json.loads(
        await assistant.tool(
            "get_metric_summary",
            namespace=NAMESPACE,
            metric_name="UsedCapacityInPercent",
            label_key="BackupStorageUuid",
        )
    )
    expect(summary.get("success") is True and len(summary["result"]) == 3, summary)
    output = await assistant.tool("get_metric_data", namespace="ZStack/VM", metric_name="CPUIdleUtilization")
    expect("namespace[ZStack/VM] has no metrics here" in output, output)
    step("metrics")


async def fail_and_delete(assistant: Assistant, uuid: str) -> None:
    refused = await assistant.execute("ReconnectImageStoreBackupStorage", uuid=MISSING)
    expect(not refused.get("success") and "SYS.1003" in str(refused), refused)
    step("a missing resource")
    await assistant.call("DeleteBackupStorage", uuid=uuid)
    expect(await assistant.storages(("uuid", "=", uuid)) == [], uuid)
    step("delete")


async def expire(assistant: Assistant) -> None:
    """Let the session expire: the server logs in again by itself, and repeats the call."""
    option = {"category": "identity", "name": "session.timeout"}
    await assistant.call("UpdateGlobalConfig", **option, value="1")
    expect(len(await assistant.storages()) == 3, "within its time")
    await asyncio.sleep(2.1)
    await assistant.call("UpdateGlobalConfig", **option, value="7200")
    expect(len(await assistant.storages()) == 3, "the session was not renewed")
    step("renew an expired session")


async def talk(assistant: Assistant, ssh_config: str) -> None:
    """Play all steps in turn."""
    await look_up(assistant)
    storages = await query(assistant)
    [zone] = (await assistant.call("QueryZone"))["inventories"]
    step("query zones")
    await change(assistant, storages[0], zone["uuid"])
    await expire(assistant)
    await measure(assistant, storages)
    await look_for_metrics(assistant)
    await fill(assistant, storages[1], ssh_config)
    await fail_and_delete(assistant, storages[2]["uuid"])


async def main(server: str, url: str, ssh_config: str) -> None:
    """Start the MCP server for the node at `url`, and play the session; `ssh_config` is the lab's OpenSSH file."""
    environment = {
        **os.environ,
        "ZSTACK_API_URL": url,
        "ZSTACK_ACCOUNT": "admin",
        "ZSTACK_PASSWORD": "password",
        "ZSTACK_ALLOW_ALL_API": "true",
    }
    parameters = StdioServerParameters(command=server, env=environment)
    async with stdio_client(parameters) as streams, ClientSession(*streams) as opened:
        await opened.initialize()
        await talk(Assistant(opened), ssh_config)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
