"""GET /probe over a real connection: what Prometheus gets, and what is refused."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from imagestore_sim.bootstrap import BootstrapError
from imagestore_sim.lab_api.probe_modules import ProbeModule, read_modules
from imagestore_sim.testing import Client
from imagestore_sim.testing.lab_thread import running_lab
from rows import rows

MODULES = """\
modules:
  default: {targets: ["imagestore-*", 10.0.0.0/24], url: /Cloud_bs, password: password, ports: [22, 2222]}
  any: {targets: ["*"], url: /Cloud_bs, password: "not-the-password"}
  short: {targets: [imagestore-3], url: /Cloud_bs, password: password, timeout: 300ms}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a lab with modules; imagestore-2 is off, 3 never answers, 4 refuses passwords."""
    file = tmp_path_factory.mktemp("modules") / "modules.yaml"
    file.write_text(MODULES)
    with running_lab(hosts=4, ping_interval=3600, probe_modules=file) as running:
        _post(f"{running.lab.url}/lab/v1/hosts/imagestore-2/stop")
        _post(f"{running.lab.url}/lab/v1/hosts/imagestore-3/faults", {"kind": "blackhole"})
        _post(f"{running.lab.url}/lab/v1/hosts/imagestore-4/faults", {"kind": "auth_failure"})
        yield running.lab.url


def _post(url: str, body: object = None) -> None:
    data = json.dumps(body or {}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method="POST"), timeout=30) as answer:
        answer.read()


def ask(url: str, query: str, **headers: str) -> tuple[int, str]:
    """Return the status and the text of the answer to a request for /probe."""
    request = urllib.request.Request(
        f"{url}/probe?{query}", headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def values(text: str) -> dict[str, float]:
    """Return each sample, named with the values of its labels."""
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {" ".join([one.name, *one.labels.values()]): one.value for one in samples}


def test_a_probe_that_succeeds_has_the_capacity_and_the_time_of_its_phases(url: str) -> None:
    status, text = ask(url, "target=imagestore-1")
    found = values(text)
    assert status == 200
    assert found["probe_success"] == 1
    assert found["probe_total_bytes"] > found["probe_available_bytes"] > 0
    assert found["probe_inodes"] >= found["probe_inodes_available"] > 0
    assert found["probe_read_only"] == 0
    assert found["probe_method statvfs"] == 1
    assert found["probe_duration_seconds"] > 0
    assert "probe_phase_duration_seconds auth" in found


@rows(
    ("query", "reason"),
    [
        ("target=imagestore-2", "unreachable"),
        ("target=imagestore-4&module=any", "auth_failed"),
        ("target=imagestore-3&module=short", "timeout"),
    ],
)
def test_a_probe_that_fails_is_answered_with_its_reason(url: str, query: str, reason: str) -> None:
    status, text = ask(url, query)
    assert status == 200
    found = values(text)
    assert found["probe_success"] == 0
    assert found[f"probe_failing {reason}"] == 1
    assert "probe_total_bytes" not in found
    assert "# what to do: " in text
    assert "not-the-password" not in text


def test_the_answer_comes_before_the_scraper_gives_up(url: str) -> None:
    _, text = ask(url, "target=imagestore-3", X_Prometheus_Scrape_Timeout_Seconds="0.75")
    assert values(text)["probe_failing timeout"] == 1
    assert "no outcome within 0.25 s" in text  # the module itself allows ten seconds


@rows(
    ("query", "status", "text"),
    [
        ("", 400, "target is missing"),
        ("target=", 400, "target is missing"),
        ("target=imagestore-1&module=nosuch", 400, "there is no module 'nosuch'; there are any, default, short"),
        ("target=imagestore-1&target=imagestore-2", 400, "target is given more than once"),
        ("target=imagestore-1&password=hunter2", 400, "only the parameters target and module are read"),
        ("target=root:hunter2@imagestore-1", 400, "target"),
        ("target=root@imagestore-1", 400, "the module has the user name"),
        ("target=imagestore-1:0", 400, "no port"),
        ("target=-oProxyCommand", 400, "ssh does not accept"),
        ("target=other.example", 403, "other.example is not among the targets"),
        ("target=10.0.1.1", 403, "10.0.1.1 is not among the targets"),
        ("target=imagestore-1:8000", 403, "port 8000 is not among the ports"),
    ],
)
def test_a_request_that_a_module_does_not_allow_is_refused(url: str, query: str, status: int, text: str) -> None:
    found, shown = ask(url, query)
    assert found == status
    assert text in shown
    assert "hunter2" not in shown


def test_a_scrape_timeout_that_is_no_number_is_refused(url: str) -> None:
    assert ask(url, "target=imagestore-1", X_Prometheus_Scrape_Timeout_Seconds="soon")[0] == 400
    assert ask(url, "target=imagestore-1", X_Prometheus_Scrape_Timeout_Seconds="1_0")[0] == 400


def test_a_page_of_another_origin_may_not_have_a_host_probed(url: str) -> None:
    assert ask(url, "target=imagestore-1", Origin="http://evil.example")[0] == 403
    assert ask(url, "target=imagestore-1", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 403


async def test_nothing_may_be_probed_without_a_file_of_modules(fixed: Client) -> None:
    refused = await fixed.request("GET", f"{fixed.url}/probe?target=imagestore-1")
    assert refused.status == 404
    assert "--probe-modules" in refused.text


@rows(
    ("pattern", "host", "allowed"),
    [
        ("*", "anything.example", True),
        ("*", "10.1.2.3", True),
        ("store-*.example.org", "STORE-1.example.org.", True),
        ("store-*.example.org", "store-1.example.com", False),
        ("10.0.0.0/8", "10.200.0.1", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.10", False),
        ("10.0.0.0/8", "10.evil.example", False),
        ("10.0.0.0/8", "0x0a000001", False),
        ("fd00::/8", "[fd00::1]", True),
        ("fd00::/8", "[fe80::1]", False),
    ],
)
def test_a_pattern_allows_names_or_addresses(pattern: str, host: str, allowed: bool) -> None:
    module = ProbeModule(targets=(pattern,), url="/zs")
    if allowed:
        assert module.target(host).port == 22
    else:
        with pytest.raises(ValueError, match="not among the targets"):
            module.target(host)


@rows(
    ("text", "problem"),
    [
        ("modules: {}", "line 1: modules: "),
        ("modules:\n  a: {url: /zs}", "line 2: modules.a.targets: is required"),
        ("modules:\n  a: {url: /zs, targets: []}", "modules.a.targets: "),
        ("modules:\n  a: {url: /zs, targets: [10.*]}", "'10.*' does not appear to be an IPv4 or IPv6 network"),
        ("modules:\n  a: {url: zs, targets: ['*']}", "modules.a.url: 'zs' is no absolute path"),
        ("modules:\n  a: {url: /zs, targets: ['*'], passwort: x}", "modules.a.passwort: "),
        ("modules:\n  a: {url: /zs, targets: ['*'], timeout: 1h}", "modules.a.timeout: "),
        ("modules:\n  a: {url: /zs, targets: ['*'], password: !env NO_SUCH_VARIABLE}", "no variable NO_SUCH_VARIABLE"),
    ],
)
def test_a_file_of_modules_that_cannot_be_used_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "modules.yaml"
    file.write_text(text)
    with pytest.raises(BootstrapError) as refused:
        read_modules(file)
    assert problem in str(refused.value)


def test_a_password_that_looks_like_a_number_stays_a_text(tmp_path: Path) -> None:
    file = tmp_path / "modules.yaml"
    file.write_text("modules:\n  a: {url: /zs, targets: ['*'], password: 007, timeout: 5, ports: [2222]}")
    module = read_modules(file).modules["a"]
    target = module.target("h")
    assert (target.password, target.port, module.timeout) == ("007", 2222, 5)
    assert "007" not in repr(module)
