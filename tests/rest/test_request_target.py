"""Request targets, as the servlet container, Spring and ZStack read them (wire-protocol 1.2, 1.7)."""

from __future__ import annotations

import pytest

from imagestore_sim.rest.errors import ContainerError, PlainError
from imagestore_sim.rest.leniency import LENIENT, STRICT
from imagestore_sim.rest.request_target import Place, Redirect, read_target
from rows import rows


def lead(path: str) -> object:
    """Return the path that ZStack sees, or the status of the error."""
    try:
        target = read_target(path, "", STRICT)
    except (ContainerError, PlainError) as refused:
        return refused.status
    except Redirect as elsewhere:
        return elsewhere.location
    return target.shown if target.place is not Place.NOWHERE else None


@rows(
    ("path", "leads_to"),
    [
        ("/zstack/v1/zones", "/v1/zones"),
        ("/zstack/v1//zones", "/v1//zones"),
        ("//zstack/v1/zones", "/v1/zones"),
        ("/zstack/v1/zones/", "/v1/zones/"),
        ("/zstack/v1/zones/a%20b", "/v1/zones/a b"),
        ("/zstack/v1/zones/%E9", "/v1/zones/\ufffd"),
        ("/%7Astack/v1/zones", "/v1/zones"),
        ("/zstack/v1/zones/%7Buuid%7D", "/v1/zones/{uuid}"),
        ("/zstack/v1/zones/a;b=c", "/v1/zones/a;b=c"),
        ("/zstack;x=1/v1/zones", "/v1/zones"),
        ("/a/../zstack/v1/zones", "/v1/zones"),
        ("/zstack/v1", "/v1"),
        ("/zstack/v1/./zones", "/v1/./zones"),
        ("/zstack/v1/zones/.", None),
        ("/zstack/v1/zones/..", None),
        ("/zstack/v1/zones/%2e%2E", None),
        ("/zstack/v1/zones/x/../../zones", None),
        ("/zstack/v1/zones/..;/x", "/v1/zones/..;/x"),
        ("/zstack/v1/x/../zones", "/v1/x/../zones"),
        ("/zstack/a/../v1/zones", 404),
        ("/zstack/v1/../../other", None),
        ("/zstack/v2/zones", None),
        ("/zstack/v1null", None),
        ("/v1/zones", None),
        ("/", None),
        ("/zstack/", None),
        ("/zstack", "/zstack/"),
        ("/zstack/v1/../../..", 400),
        ("/zstack/v1/zones/a%2Fb", 400),
        ("/zstack/v1/zones/a%5cb", 400),
        ("/zstack/v1/zones/%00", 400),
        ("/zstack/v1/zones/%zz", 400),
        ("/zstack/v1/zones/{uuid}", 400),
        ("/zstack/v1/zones#x", 400),
        ("/zstack/v1/zones/a|b", 400),
        ("/zstack/v1/zones/é", 400),
        ("/zstack/api", "/api"),
        ("/zstack/api/result/x", "/api/result/x"),
    ],
)
def test_a_path_is_read_as_zstack_reads_it(path: str, leads_to: object) -> None:
    assert lead(path) == leads_to


def test_a_lenient_node_serves_the_version_without_the_context() -> None:
    assert read_target("/v1/zones", "", LENIENT).shown == "/v1/zones"
    assert read_target("/v1/zones/..", "", LENIENT).place is Place.NOWHERE


@rows("query", ["q=a>b", "q=[x]", "q=é"])
def test_only_a_lenient_node_accepts_a_raw_query(query: str) -> None:
    assert read_target("/zstack/v1/zones", query, LENIENT).place is Place.REST
    with pytest.raises(ContainerError):
        read_target("/zstack/v1/zones", query, STRICT)
