"""The trash, which is always empty (domain 2.2)."""

from __future__ import annotations

import pytest

from fixed_data import B1, I1, UNKNOWN
from imagestore_sim.testing import CallFailed, Client

TRASH = "/backup-storage/trash"


@pytest.mark.parametrize("more", [[], [("trashType", "MigrateImage")], [("resourceUuid", I1), ("resourceType", "x")]])
async def test_there_is_no_trash(fixed: Client, more: list[tuple[str, str]]) -> None:
    assert await fixed.call("GET", TRASH, query=[("uuid", B1), *more]) == {"inventories": []}


@pytest.mark.parametrize(
    ("query", "code", "details"),
    [
        ([], "SYS.1007", "field[uuid] of message["),
        ([("uuid", UNKNOWN)], "SYS.1003", f"invalid field[uuid], resource[uuid:{UNKNOWN}, type:BackupStorageVO]"),
        ([("uuid", B1), ("trashType", "x")], "SYS.1007", "valid value for field[trashType] of message["),
        ([("uuid", B1), ("resourceUuid", I1)], "SYS.1007", "resourceUuid and resourceType must be set both or"),
        ([("uuid", B1), ("resourceType", "x")], "SYS.1007", "resourceUuid and resourceType must be set both or"),
    ],
)
async def test_half_of_a_resource_is_refused(
    fixed: Client, query: list[tuple[str, str]], code: str, details: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("GET", TRASH, query=query)
    assert caught.value.code == code
    assert caught.value.error["details"].startswith(details)


@pytest.mark.parametrize(
    ("values", "results"),
    [({}, []), ({"trashId": 7}, [{"success": True, "trashId": 7, "size": 0}])],
)
async def test_a_clean_up_finds_nothing_to_do(fixed: Client, values: dict[str, object], results: list[object]) -> None:
    answer = await fixed.call("PUT", f"/backup-storage/{B1}/trash/actions", {"cleanUpTrashOnBackupStorage": values})
    assert answer == {
        "result": {"resourceUuids": [], "details": [], "size": 0},
        "results": results,
        "success": True,
    }
