"""The guides for Terraform, Packer and AI assistants keep their word: their files and commands are used as they are."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
import yaml

from client_programs import PACKAGES
from code_blocks import code_blocks, shell
from commands import execute
from imagestore_sim.rest.authentication import sign
from imagestore_sim.testing import Client
from imagestore_sim.testing.client import CallFailed, Json
from processes import running

pytestmark = pytest.mark.processes
GUIDES = Path(__file__).parent.parent.parent / "docs" / "guides"
NODE = "http://127.0.0.1:8080"
ASKING = Path(__file__).with_name("ask_by_mcp.py")


def guide(name: str) -> str:
    """Return the text of a guide."""
    return (GUIDES / f"{name}.md").read_text(encoding="utf-8")


def calls(text: str) -> list[str]:
    """Return the blocks of a guide that call the lab, in order."""
    return [block for block in code_blocks(text, "sh") if NODE in block and "curl" in block]


async def say(script: str, node: str, folder: Path) -> list[str]:
    """Run the calls of a block, all of which must succeed; return the answers, a line each.

    Those of ZStack's API have no newline at their end.
    """
    script = script.replace(NODE, node).replace("curl -s", "curl -sS --fail-with-body -w '\\n'")
    status, said = await shell(script, cwd=folder)
    assert status == 0, said
    return [line for line in said.splitlines() if line]


@pytest.fixture(autouse=True)
def _needs_curl_and_jq() -> None:
    for tool in ("curl", "jq"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


async def test_the_access_keys_of_terraform_s_guide_sign_calls(tmp_path: Path) -> None:
    text = guide("terraform")
    [records] = code_blocks(text, "yaml")
    (tmp_path / "lab.yaml").write_text(records)
    key = yaml.safe_load(records)["accessKeys"][0]
    assert re.findall(r'access_key_\w+ += "([^"]+)"', text) == [key["accessKeyId"], key["accessKeySecret"]]
    make_key, *_others = calls(text)
    async with running("lab", "--port", "0", "--bootstrap", "lab.yaml", cwd=tmp_path) as lab:
        made = json.loads("\n".join(await say(make_key, lab.url, tmp_path)))
        assert await zones_by_key(lab.url, key["accessKeyId"], key["accessKeySecret"]) == ["zone-1"]
        assert await zones_by_key(lab.url, made["AccessKeyID"], made["AccessKeySecret"]) == ["zone-1"]
        assert await lab.stop() == 0


async def zones_by_key(node: str, key: str, secret: str) -> list[str]:
    """Return the names of the zones, by a call that an access key signs."""
    date = format_datetime(datetime.now(UTC), usegmt=True)
    headers = {"Date": date, "Authorization": f"ZStack {key}:{sign(secret, 'GET', date, '/v1/zones')}"}
    async with Client(node) as client:
        answer = await client.request("GET", "/zones", headers=headers)
    assert answer.status == 200, answer.text
    return [zone["name"] for zone in answer.body["inventories"]]


async def test_what_terraform_s_guide_breaks_ends_as_it_says(tmp_path: Path) -> None:
    _make_key, breaking, listing = calls(guide("terraform"))
    faults, healing = breaking.split("# all is well again\n")
    async with running("lab", "--port", "0", "--ping-interval", "3600", cwd=tmp_path) as lab, Client(lab.url) as client:
        assert len(await say(faults, lab.url, tmp_path)) == 5
        assert await kinds_of_node_faults(client) == ["session_expired", "answer_lost", "job_slow"]
        await client.request("DELETE", f"{lab.url}/lab/v1/node/faults")
        await client.log_in()
        with pytest.raises(CallFailed, match="auth_failed"):
            await client.add_image_store("imagestore-tf", name="store")
        assert await client.query("/backup-storage", "name=store") == []
        await say(healing, lab.url, tmp_path)
        await client.add_image_store("imagestore-tf", name="store")
        [found] = await say(listing, lab.url, tmp_path)
        assert len(json.loads(found)["requests"]) == 2
        assert await lab.stop() == 0


async def kinds_of_node_faults(client: Client) -> list[str]:
    """Return the kinds of the faults that are set on the management plane."""
    answer = await client.request("GET", f"{client.url}/lab/v1/node/faults")
    return [fault["kind"] for fault in answer.body["faults"]]


async def test_a_build_of_packer_gets_as_far_as_its_guide_says(tmp_path: Path) -> None:
    text = guide("packer")
    weighing, breaking = calls(text)
    template = dict(re.findall(r'^  (\w+) += "([^"]+)"', code_blocks(text, "hcl")[0], re.MULTILINE))
    async with running("lab", "--port", "0", cwd=tmp_path) as lab, Client(lab.url) as client:
        await client.log_in(template["account_name"], template["account_password"])
        await say(weighing.replace("100 MiB", "10 GiB"), lab.url, tmp_path)  # a test does not wait for 20 s
        assert await client.query("/l3-networks", "name=l3") == []
        [storage] = await client.query("/backup-storage", f"name={template['backup_storage_name']}")
        image = await add_image(client, template, storage["uuid"])
        assert (image["status"], image["size"], image["actualSize"]) == ("Ready", 8 << 30, 2 << 30)
        machine = {"name": template["instance_name"], "imageUuid": image["uuid"]}
        with pytest.raises(CallFailed, match=r"SYS\.1014"):
            await client.call("POST", "/vm-instances", {"params": machine})
        no_source, *_others = breaking.splitlines()[1:]
        await say(no_source, lab.url, tmp_path)
        with pytest.raises(CallFailed, match="HTTP 404"):
            await add_image(client, template, storage["uuid"])
        assert len(await client.query("/images")) == 1
        await say(breaking, lab.url, tmp_path)
        assert await kinds_of_node_faults(client) == []
        assert await lab.stop() == 0


async def add_image(client: Client, template: Mapping[str, str], storage: str) -> Json:
    """Import the image of a template, as the plugin does, and wait until it is no longer downloaded."""
    parameters = {
        "name": template["source_image"],
        "url": template["source_image_url"],
        "mediaType": "RootVolumeTemplate",
        "guestOsType": template["guest_os_type"],
        "system": False,
        "format": template["format"],
        "platform": template["platform"],
        "backupStorageUuids": [storage],
    }
    added = (await client.call("POST", "/images", {"params": parameters}))["inventory"]
    [image] = await client.query("/images", f"uuid={added['uuid']}")
    return image


@pytest.mark.clients
async def test_an_assistant_s_configuration_reaches_the_lab(mcp_environment: Path, tmp_path: Path) -> None:
    text = guide("assistants")
    [configuration] = code_blocks(text, "json")
    server = json.loads(configuration)["mcpServers"]["zstack-lab"]
    assert PACKAGES.read_text().split() == re.findall(r"zstack-mcp-server==[\d.]+|mcp<\d+", text)[:2]
    async with running("lab", "--port", "0", cwd=tmp_path) as lab, Client(lab.url) as client:
        environment = {name: value.replace(NODE, lab.url) for name, value in server["env"].items()}
        ask = [str(mcp_environment / "python"), str(ASKING), str(mcp_environment / Path(server["command"]).name)]
        status, said = await execute(*ask, cwd=tmp_path, seconds=60, **environment)
        assert (status, said.splitlines()[-1:]) == (0, ["imagestore-1 imagestore-2 imagestore-3"]), said
        breaking, listing, starting_over = calls(text)
        assert len(await say(breaking, lab.url, tmp_path)) == 4
        [found] = await say(listing, lab.url, tmp_path)
        assert [one["api"] for one in json.loads(found)["requests"]] == ["APIQueryImageStoreBackupStorageMsg"]
        await say(starting_over, lab.url, tmp_path)
        assert await kinds_of_node_faults(client) == []
        assert await lab.stop() == 0
