"""What hostname and url of an ImageStore must look like (domain 3.1)."""

from __future__ import annotations

import pytest

from imagestore_sim.backup_storage.address_rules import check_hostname, check_url
from imagestore_sim.backup_storage.errors import InvalidRequest
from rows import rows


@rows("hostname", ["10.0.0.1", "10.0.0.999", "imagestore-1", "a", "A.Example.COM", "1host", "x" * 63, "a.b-c.d"])
def test_an_ipv4_address_or_a_name_of_plain_labels_passes(hostname: str) -> None:
    check_hostname(hostname)


@rows("hostname", ["", "lab_imagestore_1", "::1", "fe80::1", "-a", "a-", "a..b", "a b", "x" * 64, ".a", "a.", "镜像"])
def test_any_other_hostname_is_refused(hostname: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_hostname(hostname)
    assert str(caught.value) == f"hostname[{hostname}] is neither an IPv4 address nor a valid hostname"


@rows("url", ["/", "/zs", "/Cloud_bs", "/with space/镜像"])
def test_an_absolute_path_passes(url: str) -> None:
    check_url(url)


@rows(
    ("url", "text"),
    [
        ("", "file path needed"),
        ("zs", "absolute file path required: zs"),
        ("nfs://host/zs", "absolute file path required: nfs://host/zs"),
        ("/dev/sda", "the url contains an invalid folder[/dev or /proc or /sys]"),
        ("/proc", "the url contains an invalid folder[/dev or /proc or /sys]"),
        ("/system", "the url contains an invalid folder[/dev or /proc or /sys]"),
        ("/a\nb", "file path contains invalid character: '/a\\nb'"),
    ],
)
def test_any_other_url_is_refused_in_zstack_s_order(url: str, text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_url(url)
    assert str(caught.value) == text


@rows(
    ("url", "text"),
    [
        ("/dev", "the url contains an invalid folder[/dev or /proc or /sys]"),
        ("/process", "the url contains an invalid folder[/dev or /proc or /sys]"),
        ("zs", "invalid url[zs], the url must be an absolute path starting with /"),
        ("", "invalid url[], the url must be an absolute path starting with /"),
    ],
)
def test_an_sftp_storage_s_url_has_texts_of_its_own(url: str, text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_url(url, sftp=True)
    assert str(caught.value) == text
    check_url("/a", sftp=True)
