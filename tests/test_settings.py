"""Settings: which source wins, and what is said of a file that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from imagestore_sim.settings import Settings, read_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]  # mypy says so too


def test_the_environment_is_left_to_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("IMAGESTORE_SIM_PORT", "1")
    assert Settings().port == 8080


def test_every_setting_is_described() -> None:
    assert not [name for name, field in Settings.model_fields.items() if not field.description]


@pytest.mark.parametrize(
    ("defaults", "in_file", "given", "port"),
    [
        ({}, "", {}, 8080),
        ({"port": 1}, "", {}, 1),
        ({"port": 1}, "port: 2", {}, 2),
        ({"port": 1}, "port: 2", {"port": 3}, 3),
        ({}, "# nothing but a comment", {"port": 3}, 3),
        ({}, "port: 0", {}, 0),
        ({}, "host: 0.0.0.0", {"port": 3}, 3),
    ],
)
def test_an_option_wins_over_the_file_and_the_file_over_the_command(
    file: Path, defaults: dict[str, object], in_file: str, given: dict[str, object], port: int
) -> None:
    file.write_text(in_file)
    assert read_settings({"config": file, **given}, defaults).port == port


def test_options_that_are_no_settings_are_passed_over() -> None:
    assert read_settings({"config": None, "used": 5, "hosts": 7}, {}) == Settings(hosts=7)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"port: [\n", "not valid YAML: while parsing a flow node"),
        (b"port: 1\n---\nport: 2\n", "not valid YAML: expected a single document"),
        (b"!!python/object:os.system {}\n", "not valid YAML: could not determine a constructor"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"- port\n", "must hold settings by name, as in `port: 8080`"),
        (b"port\n", "must hold settings by name, as in `port: 8080`"),
        (b"port: 1\nhost: a\nport: 2\n", "port is given twice (line 3, column 1)"),
        (b"port: " + b"[" * 100 + b"]" * 100, "not valid YAML: nested more than 64 levels deep"),
        (b"8080: port\n", "must hold settings by name, as in `port: 8080`"),
    ],
)
def test_a_file_without_settings_is_refused(file: Path, content: bytes, complaint: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_settings({"config": file}, {})
    assert str(caught.value).startswith(f"{file}: {complaint}")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nosuch.yaml", "there is no such file to read settings from"),
        (".", "cannot be read: Is a directory"),
        ("x" * 300, "cannot be read: File name too long"),
        ("/dev/zero", "cannot be read: File too large"),
    ],
)
def test_an_unreadable_file_is_refused(tmp_path: Path, name: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_settings({"config": tmp_path / name}, {})
    assert str(caught.value) == f"{tmp_path / name}: {complaint}"


@pytest.mark.parametrize(
    ("content", "field", "complaint"),
    [
        ("prot: 1", "prot", "Extra inputs are not permitted"),
        ("port: 65536", "port", "less than or equal to 65535"),
        ("port: -1", "port", "greater than or equal to 0"),
        ("host: a..b", "host", "expected an address, or the name of a host"),
        (f"host: {'x' * 64}", "host", "expected an address, or the name of a host"),
        ("port:", "port", "valid integer"),
        ("ping_interval: 0", "ping_interval", "greater than or equal to 1"),
        ("hosts: 10001", "hosts", "less than or equal to 10000"),
        ("any_host: perhaps", "any_host", "valid boolean"),
        ("probe_connection: hot", "probe_connection", "'warm' or 'fresh'"),
        ("log_level: loud", "log_level", "'debug', 'info', 'warning' or 'error'"),
        ("log_format: xml", "log_format", "'text' or 'json'"),
    ],
)
def test_a_bad_value_is_reported_with_its_name(file: Path, content: str, field: str, complaint: str) -> None:
    file.write_text(content)
    with pytest.raises(ValidationError) as caught:
        read_settings({"config": file}, {})
    [error] = caught.value.errors()
    assert error["loc"] == (field,)
    assert complaint in error["msg"]


def test_aliases_within_aliases_are_refused(file: Path) -> None:
    levels = [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 12)]
    file.write_text("\n".join(["a0: &a0 [x]", *levels, "port: *a11"]))
    with pytest.raises(ValueError, match="more than 500000 values, with aliases resolved"):
        read_settings({"config": file}, {})
