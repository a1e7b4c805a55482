"""Images on a real SSH server: written with `--write-images`, records alone without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagestore_sim.bootstrap import BackupStorageRecord, Bootstrap
from imagestore_sim.bootstrap.records import ImageSourceRecord
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from sshd import OpenSshServer

pytestmark = pytest.mark.usefixtures("few_steps")
STORAGE, SIZE = "b" * 32, 2**30


@pytest.mark.parametrize("writes", [pytest.param(True, marks=pytest.mark.thorough), False])
async def test_an_image_is_a_sparse_file_in_the_url_where_hosts_may_be_written_to(
    sshd: OpenSshServer, tmp_path: Path, writes: bool
) -> None:
    url = tmp_path / "zs"
    records = Bootstrap(
        backupStorages=(
            BackupStorageRecord(
                uuid=STORAGE,
                name="s",
                hostname="127.0.0.1",
                sshPort=sshd.port,
                username=sshd.username,
                url=str(url),
            ),
        ),
        imageSources=(ImageSourceRecord(url="*", size=SIZE, actualSize=SIZE, rate=10 * SIZE),),
    )
    settings = Settings(
        port=0, database=str(tmp_path / "node.db"), identity_file=sshd.identity_file, write_images=writes
    )
    node = ManagementNode(settings)
    await node.start(records)
    try:
        async with Client(node.url) as client:
            await client.log_in()
            body = {"name": "i", "url": "http://x", "format": "raw", "backupStorageUuids": [STORAGE]}
            image = (await client.call("POST", "/images", {"params": body}))["inventory"]
            assert (image["status"], image["size"]) == ("Ready", SIZE if writes else 0)
            file = url / "registry" / image["uuid"] / image["uuid"]
            assert file.exists() is writes
            if writes:
                assert (file.stat().st_size, file.stat().st_blocks < 100) == (SIZE, True)
            asked: dict[str, object] = {"getImagesFromImageStoreBackupStorage": {}}
            [info] = (await client.request("PUT", f"/backup-storage/{STORAGE}/image-store", asked)).body["infos"]
            assert (info["id"], info["size"]) == (image["uuid"], SIZE if writes else 0)
            export = {"exportImageFromBackupStorage": {"imageUuid": image["uuid"]}}
            exported = await client.call("PUT", f"/backup-storage/{STORAGE}/actions", export)
            assert exported["imageUrl"] == f"http://127.0.0.1:8000/export/{image['uuid']}.raw"
            copy = url / "export" / f"{image['uuid']}.raw"
            assert copy.exists() is writes
            if writes:
                assert (copy.stat().st_size, copy.stat().st_blocks < 100) == (SIZE, True)
                await client.call("DELETE", f"/backup-storage/{STORAGE}/exported-images/{image['uuid']}")
                assert list((url / "export").iterdir()) == []
                await client.call("PUT", f"/backup-storage/{STORAGE}/actions", export)
            await client.call("DELETE", f"/images/{image['uuid']}")
            await client.call("PUT", f"/images/{image['uuid']}/actions", {"expungeImage": {}})
            assert [*(url / "registry").iterdir(), *(url / "export").iterdir()] == []
    finally:
        await node.stop()
