"""How do I test my ZStack client with pytest, without a server of my own?

pytest examples/test_a_client.py
"""

import json
import urllib.request

import pytest


@pytest.mark.imagestore_lab(hosts=1, ping_interval=1)
def test_my_client_sees_an_outage(imagestore_lab, imagestore_hosts):
    # The lab runs on a thread of its own, so a client may block.
    with urllib.request.urlopen(f"{imagestore_lab.url}/readyz") as answer:
        assert json.load(answer)["ready"]
    imagestore_hosts["imagestore-1"].stop()
    imagestore_lab.wait_for("imagestore-1", "Disconnected", within=10)
    imagestore_hosts["imagestore-1"].start()
    imagestore_lab.wait_for("imagestore-1", "Connected", within=10)
