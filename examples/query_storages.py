"""How do I log in and list the connected storages, with nothing but Python's standard library?

imagestore-sim lab                      # in another terminal
python examples/query_storages.py http://127.0.0.1:8080
"""

import hashlib
import json
import sys
import urllib.parse
import urllib.request

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"


def call(method, path, body=None, session=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"OAuth {session}"} if session else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/zstack/v1{path}", data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


password = hashlib.sha512(b"password").hexdigest()  # clients send the hash, never the password
login = call("PUT", "/accounts/login", {"logInByAccount": {"accountName": "admin", "password": password}})
session = login["inventory"]["uuid"]

question = urllib.parse.urlencode([("q", "status=Connected"), ("sort", "+name")])
for storage in call("GET", f"/backup-storage/image-store?{question}", session=session)["inventories"]:
    print(storage["name"], storage["status"], storage["availableCapacity"])

call("DELETE", f"/accounts/sessions/{session}", session=session)
