"""Add an ImageStore, poll the job, and query the storage, with a client that openapi-python-client generated.

    python add_poll_query.py http://localhost:8080 imagestore-7

prints the uuid and the status of the storage. The client is the package `zstack_client`.
"""

from __future__ import annotations

import hashlib
import sys
import time
from http import HTTPStatus
from uuid import uuid4

from zstack_client import AuthenticatedClient, Client
from zstack_client.api.image_store import (
    add_image_store_backup_storage,
    query_image_store_backup_storage,
    query_image_store_backup_storage_by_uuid,
)
from zstack_client.api.jobs import poll_job
from zstack_client.api.session import log_in_by_account, log_out
from zstack_client.models import (
    APIAddImageStoreBackupStorageMsg,
    APIAddImageStoreBackupStorageMsgBody,
    APILogInByAccountMsg,
    APILogInByAccountMsgBody,
    Job,
)


def main(url: str, hostname: str) -> None:
    """Do all of it. A wrong answer is an AssertionError."""
    login = APILogInByAccountMsg(account_name="admin", password=hashlib.sha512(b"password").hexdigest())
    with Client(base_url=url) as visitor:
        session = log_in_by_account.sync(client=visitor, body=APILogInByAccountMsgBody(login)).inventory.uuid
    with AuthenticatedClient(base_url=url, token=session, prefix="OAuth") as client:
        new = APIAddImageStoreBackupStorageMsg(
            name=hostname, hostname=hostname, username="root", password="password", url="/Cloud_bs"
        )
        job = uuid4().hex
        begun = add_image_store_backup_storage.sync(
            client=client, body=APIAddImageStoreBackupStorageMsgBody(new), x_job_uuid=job
        )
        assert isinstance(begun, Job)
        assert begun.location.endswith(job)
        while (answer := poll_job.sync_detailed(job, client=client)).status_code == HTTPStatus.ACCEPTED:
            time.sleep(0.05)
        assert answer.status_code == HTTPStatus.OK, answer.content
        uuid = answer.parsed.inventory["uuid"]
        one = query_image_store_backup_storage_by_uuid.sync(uuid, client=client).inventories[0]
        found = query_image_store_backup_storage.sync(
            client=client, q=[f"hostname={hostname}", "status=Connected"], reply_with_count=True
        )
        assert found.total == 1
        assert found.inventories[0].uuid == one.uuid == uuid
        assert found.inventories[0].total_capacity > found.inventories[0].available_capacity > 0
        print(uuid, found.inventories[0].status)
        log_out.sync(session, client=client)


if __name__ == "__main__":
    main(*sys.argv[1:])
