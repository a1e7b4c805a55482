"""Sessions in memory: the same as all of them looked through, at the cost of those that are asked about."""

from __future__ import annotations

import heapq
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_client import RawClient, open_raw_client, sha512
from sqlalchemy import func, insert, select

from imagestore_sim.database.models import ADMIN_UUID, Session
from imagestore_sim.rest import session_store
from imagestore_sim.rest.identity import Identity
from imagestore_sim.rest.kept_sessions import MOST_OUT_OF_DATE, KeptSessions, StoredSession

KEYS, USERS, TIMES = "abc", ("account", "user1", "user2"), range(6)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KEYS), st.sampled_from(TIMES)),
        st.tuples(st.just("remove"), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.just("ask"), st.just(""), st.sampled_from(TIMES)),
    ),
    max_size=25,
)


def session(key: str, expires: int, user: str = "account") -> StoredSession:
    return StoredSession(key, Identity("account", user), 0, expires)


@given(steps)
def test_sessions_are_found_by_who_has_them_and_when_they_expire(taken: list[tuple[str, str, int]]) -> None:
    kept, expected = KeptSessions(), dict[str, StoredSession]()
    for kind, key, time in taken:
        if kind == "put":
            expected[key] = session(key, time, USERS[KEYS.index(key)])
            kept.put(expected[key])
        elif kind == "remove":
            expected.pop(key, None)
            kept.remove(key)
        else:
            assert sorted(kept.expired(time)) == sorted(k for k, one in expected.items() if one.expired_date < time)
        assert {key: kept.get(key) for key in kept} == expected
        assert sorted(kept.of_account("account")) == sorted(expected)
        for user in USERS:
            assert list(kept.of_user(user)) == [k for k in expected if expected[k].identity.user_uuid == user]
    for key in list(kept):
        kept.remove(key)
    assert not kept._of_user
    assert not kept._of_account
    assert not kept._due


def test_a_purge_looks_at_those_alone_that_may_have_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptSessions()
    for number in range(1000):
        kept.put(session(str(number), 1000 + number))
    looked_at: list[object] = []

    def pop(queue: list[tuple[int, str]]) -> tuple[int, str]:
        looked_at.append(queue[0])
        return plain(queue)

    plain = heapq.heappop
    monkeypatch.setattr(heapq, "heappop", pop)
    assert kept.expired(1000) == []
    assert kept.expired(1002) == ["0", "1"]
    assert len(looked_at) == 2


def test_sessions_that_end_before_they_expire_leave_nothing_that_grows() -> None:
    kept = KeptSessions()
    for number in range(10 * MOST_OUT_OF_DATE):
        kept.put(session(str(number), 1000))
        kept.put(session(str(number), 2000))
        kept.remove(str(number))
    assert len(kept._queue) <= MOST_OUT_OF_DATE + 3


async def log_in(client: RawClient) -> None:
    body = {"logInByAccount": {"accountName": "admin", "password": sha512("password")}}
    assert (await client.send("PUT", "/zstack/v1/accounts/login", body, anonymous=True)).status == 200


async def test_very_many_expired_sessions_are_deleted_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_store, "SESSIONS_OF_A_TURN", 100)
    async with open_raw_client(tmp_path) as client:
        database, store = client.node.parts.store.database, client.node.parts.sessions._store
        now = int(client.clock.time())
        whose = {"accountUuid": ADMIN_UUID, "userUuid": ADMIN_UUID, "createDate": 0, "expiredDate": now + 50}
        rows = [{"uuid": f"{number:032x}", **whose} for number in range(250)]
        async with database.transaction() as connection:
            await connection.execute(insert(Session), rows)
        await store.load()
        client.clock.ahead += 100
        before = database.revision
        await log_in(client)
        assert database.revision == before + 4, "three to delete them, and one for the login"
        assert [row[0] for row in await database.read(select(func.count()).select_from(Session))] == [2]


async def test_sessions_that_a_reset_ends_leave_nothing(tmp_path: Path) -> None:
    async with open_raw_client(tmp_path) as client:
        await log_in(client)
        store = client.node.parts.sessions._store
        assert len(store._written_expiry) == 2
        await client.node.changes.reset()
        assert (len(store._written_expiry), len(list(store._sessions))) == (0, 0)
