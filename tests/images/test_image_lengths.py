"""Images that weigh what their web servers say, where that is switched on."""

from __future__ import annotations

import pytest

from image_web_server import web_server
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.images.sources import ImageSource
from imagestore_sim.lab import Lab
from imagestore_sim.testing import CallFailed, Client

pytestmark = [
    pytest.mark.usefixtures("few_steps"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual", image_lengths=True),
]
LENGTH = 12_345


async def add(lab: Lab, client: Client, url: str) -> dict[str, object]:
    [storage] = await lab.node.storages.records.tracked()
    body = {"name": "i", "url": url, "format": "raw", "backupStorageUuids": [storage.uuid]}
    return dict((await client.call("POST", "/images", {"params": body}))["inventory"])


async def test_an_image_weighs_what_its_web_server_says(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    async with web_server(LENGTH) as server:
        image = await add(imagestore_lab, imagestore_client, f"{server}/image")
        assert (image["size"], image["actualSize"]) == (LENGTH, LENGTH)
        file = f"/Cloud_bs/registry/{image['uuid']}/{image['uuid']}"
        assert imagestore_hosts["imagestore-1"].disk.stat(file).size == LENGTH
        imagestore_lab.node.foundation.image_sources.add([ImageSource("*/image", actual_size=7)])
        assert (await add(imagestore_lab, imagestore_client, f"{server}/image"))["actualSize"] == 7


async def test_an_image_that_its_web_server_does_not_have_is_not_added(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    [storage] = await imagestore_lab.node.storages.records.tracked()
    async with web_server(2**63) as server:
        refused = "http://127.0.0.1:1/i"
        invalid = [f"http://{one}/i" for one in ("127.0.0.1:99999", "127.0.0.1:x", "[::1", "a b:y", "..", "")]
        cases = (
            (f"{server}/other", "404 Not Found: [no body]"),
            (f"{server}/image", f'For input string: "{2**63}"'),
            (refused, f'I/O error on HEAD request for "{refused}": Connect to 127.0.0.1:1'),
            ("http://xn--/i", 'I/O error on HEAD request for "http://xn--/i": xn--: Name or service not known'),
            *((one, f'I/O error on HEAD request for "{one}": is not the URL of a server') for one in invalid),
        )
        for url, why in cases:
            with pytest.raises(CallFailed) as failed:
                await add(imagestore_lab, imagestore_client, url)
            cause = f"failed to download image[url: {url}] on backup storage[uuid: {storage.uuid}], because: {why}"
            assert (failed.value.code, failed.value.error["cause"]["details"][: len(cause)]) == ("SYS.1002", cause)
    assert await imagestore_client.query("/images") == []
