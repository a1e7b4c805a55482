"""Heads that are known: which requests they are found for, and how many are kept."""

from __future__ import annotations

import pytest

from imagestore_sim.web_server.known_heads import MOST_BYTES, MOST_HEADS, Known, KnownHeads, is_one_head

REST = b"Host: node\r\nAuthorization: OAuth 1\r\n\r\n"


def get(path: str, rest: bytes = REST) -> bytes:
    return b"GET %s HTTP/1.1\r\n%s" % (path.encode(), rest)


@pytest.fixture
def heads() -> KnownHeads[str]:
    heads: KnownHeads[str] = KnownHeads()
    heads.keep(get("/first"), "kept")
    return heads


@pytest.mark.parametrize("path", ["/", "/first", "/v1/zones?q=name~=%25a&limit=1", "/" + "x" * 1023])
def test_a_head_is_known_for_other_paths(heads: KnownHeads[str], path: str) -> None:
    assert heads.find(get(path)) == Known(path, "kept")


@pytest.mark.parametrize(
    "data",
    [
        get("/", REST[:-1]),
        get("/") + b"\r\n",
        get("/") * 2,
        get("/", b"host: node\r\nAuthorization: OAuth 1\r\n\r\n"),
        get("/").replace(b"GET", b"HEAD"),
        get("/").replace(b"GET", b"get"),
        get("/").replace(b"1.1", b"1.0"),
        get("/").replace(b"GET ", b"GET  "),
        b"\r\n" + get("/"),
        get("x"),
        get("//x y"),
        get("/\u00e9"),
        get("/#fragment"),
        get('/"'),
        get("/" + "x" * 1024),
        b"",
    ],
    ids=lambda data: repr(data[:30]),
)
def test_all_else_is_to_be_read(heads: KnownHeads[str], data: bytes) -> None:
    assert heads.find(data) is None


def test_the_oldest_head_is_forgotten_first(heads: KnownHeads[str]) -> None:
    for number in range(MOST_HEADS):
        heads.keep(get("/", b"Number: %d\r\n\r\n" % number), str(number))
    assert heads.find(get("/")) is None
    assert heads.find(get("/", b"Number: 0\r\n\r\n")) == Known("/", "0")


def test_a_head_that_is_kept_again_takes_the_room_of_no_other(heads: KnownHeads[str]) -> None:
    others = [get("/", b"Number: %d\r\n\r\n" % number) for number in range(MOST_HEADS - 1)]
    for other in (*others, others[-1]):
        heads.keep(other, "other")
    assert heads.find(get("/")) == Known("/", "kept")


def test_a_long_head_is_not_kept(heads: KnownHeads[str]) -> None:
    rest = b"Cookie: %s\r\n\r\n" % (b"x" * MOST_BYTES)
    heads.keep(get("/", rest), "long")
    assert heads.find(get("/", rest)) is None


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (get("/"), True),
        (get("/") * 2, False),
        (get("/")[:-1], False),
        (get("/") + b"rest", False),
        (b"", False),
        (b"\r\n\r", False),
        (b"\r\n\r\n", True),
    ],
)
def test_one_head_ends_where_the_data_do(data: bytes, is_one: bool) -> None:
    assert is_one_head(data) is is_one
