"""How do I assert what my client has sent, and see at once what it sent instead?

pytest examples/test_what_was_sent.py
"""

import json
import urllib.request

import pytest


def send(url, method, path, body=None, session=None):
    """Stands for your own client."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"OAuth {session}"} if session else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/zstack/v1{path}", data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_my_client_adds_one_storage(imagestore_lab, imagestore_client):
    requests = imagestore_lab.requests
    params = {"name": "silver", "hostname": "10.0.0.1", "username": "root", "password": "password", "url": "/zs"}
    send(imagestore_lab.url, "POST", "/backup-storage/image-store", {"params": params}, imagestore_client.session_uuid)
    add = {"api": "AddImageStore*", "headers": {"Authorization": "OAuth *"}}
    requests.assert_received(add, times=1, body={"params": {"name": "silver", "password": "***"}})  # secrets are masked
    requests.assert_received(jsonPath="$.params[?@ == '10.0.0.1']", status="2xx")
    requests.assert_not_received(method="DELETE")
    requests.assert_sequence([{"path": "*/accounts/login"}, add])
    with pytest.raises(AssertionError) as failure:
        requests.assert_received(add, body={"params": {"name": "gold"}})
    print(failure.value)
    assert 'body.params.name: expected "gold", got "silver"' in str(failure.value)
