"""Requests signed with an access key (wire-protocol 2.7, 1.5; clients 1.1, 4.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from raw_client import ACCOUNT, STORAGES, ZONE, ZONES, RawClient, Response, open_raw_client

from imagestore_sim.rest.authentication import read_date, sign
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY, SECRET = "vvSZpmj4cnB53qUDmm6E", "8heumeFTvIeZxkTGfEYvVi9qVVPd9ffQNDALSPPb"
PUBLISHED = "Fri, 06 Aug 2021 17:58:34 PRC"
FORMAT_ERROR = "'Date' format error, correct format is 'EEE, dd MMM yyyy HH:mm:ss z'"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("keys")) as raw_client:
        yield raw_client


def date(hours: float = 0, zone: str = "UTC") -> str:
    return f"{datetime.now(UTC) + timedelta(hours=hours):%a, %d %b %Y %H:%M:%S} {zone}"


async def signed(
    raw_client: RawClient,
    target: str,
    *,
    method: str = "GET",
    when: str = "",
    path: str = "",
    body: object = None,
    date_header: str = "Date",
) -> Response:
    when = when or date()
    signature = sign(SECRET, method, when, path or target.partition("?")[0].removeprefix("/zstack"))
    headers = {date_header: when, "Authorization": f"ZStack {KEY}:{signature}"}
    return await raw_client.send(method, target, body, anonymous=True, **headers)


async def test_the_vendor_s_published_example() -> None:
    """Source: clients 1.1."""
    assert sign(SECRET, "GET", PUBLISHED, "/v1/vm-instances") == "hPToRHeHdV49D4u20G8OlE0yJho="


async def test_the_published_date_is_taken_at_its_time(tmp_path: Path) -> None:
    """The key, secret and Date are those of the example, and the clock shows its time (clients 1.1)."""
    ahead = datetime(2021, 8, 6, 9, 58, 34, tzinfo=UTC).timestamp() - datetime.now(UTC).timestamp()
    async with open_raw_client(tmp_path, ahead=ahead) as then:
        answer = await signed(then, ZONES, when=PUBLISHED)
        assert (answer.status, answer.json["inventories"][0]["uuid"]) == (200, ZONE)


@rows(
    ("hours", "zone"),
    [
        (0, "UTC"), (0, "GMT"), (0, "Etc/UTC"), (0, "Z"), (8, "CST"), (8, "PRC"), (8, "Asia/Shanghai"), (8, "GMT+8"),
        (8, "GMT+08:00"), (7, "ICT"), (-8, "PST"), (5.5, "Asia/Kolkata"), (14, "+14"), (-12, "-12"), (0, "XYZ"),
    ],
)  # fmt: skip
async def test_a_date_of_any_time_zone_is_accepted(raw_client: RawClient, hours: float, zone: str) -> None:
    """Source: clients 4.2."""
    assert (await signed(raw_client, ZONES, when=date(hours, zone))).status == 200


@rows("change", [str.upper, str.lower])
async def test_the_case_of_a_date_does_not_matter(raw_client: RawClient, change: Callable[[str], str]) -> None:
    assert (await signed(raw_client, ZONES, when=change(date()))).status == 200


@rows(
    ("target", "path"),
    [
        pytest.param("/v1/zones", "/v1/zones", id="without the context"),
        pytest.param(f"{ZONES}?limit=1&q=name~=%25", "/v1/zones", id="without the query"),
        pytest.param(f"/zstack/v1/zones//{ZONE}", f"/v1/zones//{ZONE}", id="with its double slash"),
        pytest.param("/zstack/v1/zones/a%20b", "/v1/zones/a%20b", id="as it was sent"),
        pytest.param("/zstack/v1/zones/a%20b", "/v1/zones/a b", id="decoded"),
    ],
)
async def test_the_path_below_the_context_is_signed(raw_client: RawClient, target: str, path: str) -> None:
    """Source: wire-protocol 2.7, clients 4.3."""
    assert (await signed(raw_client, target, path=path)).status == 200


async def test_a_signed_command_is_carried_out_and_polled_with_any_header(raw_client: RawClient) -> None:
    """Source: wire-protocol 2.7, clients 4.5."""
    accepted = await signed(raw_client, ZONES, method="POST", body={"params": {"name": "signed"}})
    for header in ("OAuth null", f"ZStack {KEY}:of another request"):
        ended = await raw_client.follow(accepted, Authorization=header)
        assert ended.json["inventory"]["name"] == "signed"


@rows(
    ("authorization", "when", "status", "text"),
    [
        pytest.param(f"ZStack {KEY}:x", None, 400, "'Date' must be incuded in request header", id="1.5 no Date"),
        pytest.param("ZStack nonsense", None, 400, "'Date' must be incuded in request header", id="2.2 Date first"),
        pytest.param(f"ZStack {KEY}:x", "yesterday", 400, FORMAT_ERROR, id="1.5 Date unreadable"),
        pytest.param(f"ZStack {KEY}:x", "2021-08-06T17:58:34Z", 400, FORMAT_ERROR, id="1.5 Date in another format"),
        pytest.param(f"ZStack {KEY}:x", date().removesuffix(" UTC"), 400, FORMAT_ERROR, id="1.5 Date without zone"),
        pytest.param(f"ZStack {KEY}:x", PUBLISHED, 403, "requestTimeTooSkewed", id="1.5 Date long past"),
        pytest.param(f"ZStack {KEY}:x", date(14.5), 403, "requestTimeTooSkewed", id="1.5 Date of no zone"),
        pytest.param("ZStack", date(), 400, "accessKey format is 'ZStack AccessKeyId:Signature'", id="1.5 no key"),
        pytest.param(f"ZStack {KEY}", date(), 400, "accessKey format is 'ZStack AccessKeyId:Signature'",
            id="1.5 one part"),
        pytest.param(f"ZStack {KEY}:", date(), 400, "accessKey format is 'ZStack AccessKeyId:Signature'",
            id="2.2 an empty second part is none"),
        pytest.param(f"ZStack {KEY}:a:b", date(), 400, "accessKey format is 'ZStack AccessKeyId:Signature'",
            id="1.5 three parts"),
        pytest.param(f"ZStack {KEY}:bad", date(), 403, "wrong accessKey signature", id="2.7 wrong signature"),
        pytest.param("ZStack nosuch:bad", date(), 403, "access key id[nosuch] does not exist", id="2.7 unknown key"),
    ],
)  # fmt: skip
async def test_a_wrong_signature_is_refused(
    raw_client: RawClient, authorization: str, when: str | None, status: int, text: str
) -> None:
    headers = {"Authorization": authorization} | ({"Date": when} if when else {})
    for target, body in ((ZONES, None), (STORAGES, {"params": {}})):
        answer = await raw_client.send("POST" if body else "GET", target, body, anonymous=True, **headers)
        assert (answer.status, answer.text) == (status, text)


async def test_a_signature_is_valid_for_its_request_only(raw_client: RawClient) -> None:
    """Method, path and Date are all signed (wire-protocol 2.7)."""
    when = date()
    signature = sign(SECRET, "GET", when, "/v1/zones")
    header = f"ZStack {KEY}:{signature}"
    for method, target, sent in (
        ("HEAD", ZONES + f"/{ZONE}/x", when),
        ("GET", f"{ZONES}/{ZONE}", when),
        ("GET", ZONES, date(1)),
    ):
        answer = await raw_client.send(method, target, anonymous=True, Authorization=header, Date=sent)
        assert answer.status in (403, 404)


async def test_a_key_of_a_normal_account_has_the_rights_of_the_account(raw_client: RawClient) -> None:
    """Source: wire-protocol 7.3."""
    when = date()
    header = f"ZStack of-a-normal-account:{sign('another-secret', 'POST', when, '/v1/zones')}"
    answer = await raw_client.call("POST", ZONES, {"params": {"name": "z"}}, Authorization=header, Date=when)
    assert answer.error["code"] == "ID.1002", ACCOUNT


async def test_a_page_that_may_not_set_the_header_date_signs_with_another(raw_client: RawClient) -> None:
    assert (await signed(raw_client, ZONES, date_header="X-Date")).status == 200
    assert (await signed(raw_client, ZONES, date_header="X-Date", when=date(15))).text == "requestTimeTooSkewed"


async def test_a_strict_node_reads_no_other_header_than_date(tmp_path: Path) -> None:
    async with open_raw_client(tmp_path, strict=True) as strict:
        answer = await signed(strict, ZONES, date_header="X-Date")
        assert (answer.status, answer.text) == (400, "'Date' must be incuded in request header")


async def test_a_strict_node_compares_the_date_with_its_own_wall_clock(tmp_path: Path) -> None:
    """The zone is ignored, as ZStack does by default (wire-protocol 2.7)."""
    async with open_raw_client(tmp_path, strict=True) as strict:
        assert (await signed(strict, ZONES, when=date(0, "PRC"))).status == 200
        assert (await signed(strict, ZONES, when=date(0.2))).status == 200
        for hours in (8, 0.3, -0.3):
            answer = await signed(strict, ZONES, when=date(hours, "PRC"))
            assert (answer.status, answer.text) == (403, "requestTimeTooSkewed")


@rows(
    "text",
    [
        "Thu, 06 Aug 2021 17:58:34 PRC",  # it was a Friday
        "Fri, 6 Aug 2021 17:58:34 PRC",
        "Fri, 06 August 2021 17:58:34 PRC",
        "Fri, 31 Feb 2021 17:58:34 PRC",
        "Fri, 06 Aug 2021 25:58:34 PRC",
        "06 Aug 2021 17:58:34 PRC",
        "",
    ],
)
async def test_a_malformed_date_is_refused(text: str) -> None:
    assert read_date(text) is None


async def test_secrets_are_encrypted_at_rest(tmp_path: Path) -> None:
    async with open_raw_client(tmp_path):
        stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert KEY.encode() in stored
    assert SECRET.encode() not in stored
