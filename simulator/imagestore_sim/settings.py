"""One frozen Settings, from options, environment and file.

The commands read options and `IMAGESTORE_SIM_*` variables. Values that neither gives come from the YAML file of
`--config`, under the field names below, and then from the defaults here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from imagestore_sim import whole_files
from imagestore_sim.clock import LATEST, START
from imagestore_sim.host_names import check_allowed, is_host_name
from imagestore_sim.suggestions import expected
from imagestore_sim.units import parse_time, shown
from imagestore_sim.validation_errors import Problem

TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
"""The syntax of a bearer token (RFC 6750)."""
ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\s]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
LAST_PORT = 65535
REAL, PAUSED = "real", "paused"
SECRET_SETTINGS = ("lab_token", "database", "vault_key")
"""Settings whose values no error message repeats."""


def stopped_time(text: str) -> float:
    """Return the epoch seconds of the time at which a clock begins. Raise ValueError."""
    try:
        moment = parse_time(text)
    except ValueError as error:
        raise ValueError(f"expected {REAL}, {PAUSED} or a time; {error}") from None
    if not 0 <= moment < LATEST:
        raise ValueError("expected a time from the year 1970 to the year 9000")
    return moment


def split_address(text: str) -> tuple[str, int | None]:
    """Return the host and the port of HOST or HOST:PORT; the port is None without one. Raise ValueError."""
    found = ADDRESS.fullmatch(text)
    host = found["host"].strip("[]") if found else ""
    if found is None or not host or not is_host_name(host):
        raise ValueError("expected HOST or HOST:PORT")
    if found["port"] is None:
        return host, None
    if not 0 < int(found["port"]) <= LAST_PORT:
        raise ValueError("expected HOST or HOST:PORT")
    return host, int(found["port"])


def is_token(text: str) -> bool:
    """Return whether a header can carry it as a bearer token."""
    return TOKEN.fullmatch(text) is not None


class Settings(BaseModel):
    """How a management node, a lab or a host runs. Seconds and bytes are plain numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    allowed_host: tuple[str, ...] = Field(
        (),
        description="accept requests to these names too, beside IP addresses, localhost and names without a dot",
    )
    lab_api: bool = Field(True, description="let /lab/v1 change things; off by default for serve")
    lab_token: SecretStr | None = Field(None, description="token of /lab/v1, sent as a bearer token")
    cluster_mode: Literal["faithful", "quick"] = Field(
        "faithful",
        description="how soon nodes that share a MariaDB take over from one that has died: as in ZStack, or soon",
    )
    advertise: str | None = Field(
        None, description="HOST or HOST:PORT at which clients and other nodes reach a node that shares a MariaDB"
    )
    database: str = Field("imagestore-sim.db", description="a SQLite file, or mariadb://user:password@host:port/name")
    vault_key: SecretStr | None = Field(
        None, description="key of the passwords in the database, in place of the file beside it"
    )
    vault_key_file: Path | None = Field(None, description="file of that key; made if the database holds no secret yet")
    bootstrap: Path | None = Field(None, description="YAML file of records to start with")
    identity_file: Path | None = Field(None, description="private key tried before a record's password")
    host_keys: Literal["ignore", "tofu", "strict"] = Field(
        "ignore", description="trust any host key, the first that a host shows, or those in known_hosts"
    )
    known_hosts: Path | None = Field(None, description="file of host keys; beside the database if unset")
    ssh_config: Path | None = Field(None, description="OpenSSH configuration for the hosts")
    hosts_file: tuple[Path, ...] = Field(
        (), description="files with addresses of host names, in the format of /etc/hosts; others are resolved as ever"
    )
    fault: tuple[str, ...] = Field((), description="faults of the management plane to begin with, each as a line")
    write_images: bool = Field(True, description="write images as files to hosts; off by default for serve")
    image_lengths: bool = Field(False, description="ask the web server of an http(s) image how long its file is")
    read_only_hosts: bool = Field(False, description="never create anything on a host")
    probe_connection: Literal["warm", "fresh"] = Field(
        "warm", description="keep one connection per host, or log in each time"
    )
    probe_keep_alive: float = Field(30.0, gt=0, description="seconds after which an idle connection is checked")
    probe_modules: Path | None = Field(None, description="YAML file of what /probe may log in to, and how")
    ping_interval: int | None = Field(
        None, ge=1, description="seconds between pings, in place of the global configuration's"
    )
    ping_mode: Literal["capacity", "ssh", "tcp", "agent"] | None = Field(
        None, description="what a ping asks of a host, in place of the global configuration's"
    )
    hosts: int = Field(3, ge=0, le=10_000, description="simulated hosts to start with")
    any_host: bool = Field(True, description="create a simulated host for any other name that a client adds")
    strict: bool = Field(False, description="refuse what ZStack refuses, even if some clients rely on leniency")
    zstack: Literal["3.10", "4.8", "5.2", "5.4"] = Field(
        "5.2", description="version of ZStack to answer as; quoted in YAML"
    )
    seed: int = Field(0, description="seed of everything random")
    clock: str = Field(
        "real", description="the machine's time, or a clock that stands still: paused, or the time at which it begins"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level to log")
    log_format: Literal["text", "json"] = Field("text", description="format of log lines")

    @field_validator("allowed_host", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Split names at commas and blanks, since a variable holds all of them in one text."""
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(one, str) for one in texts):
            return value
        return tuple(check_allowed(name) for text in texts for name in text.replace(",", " ").split())

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        """Refuse a name that no resolver takes."""
        try:
            value.encode("idna")
        except UnicodeError:
            raise ValueError("expected an address, or the name of a host") from None
        return value

    @field_validator("advertise")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        """Refuse what is no address of a node."""
        if value is not None:
            split_address(value)
        return value

    @field_validator("clock", mode="before")
    @classmethod
    def _check_clock(cls, value: object) -> object:
        """Refuse what is neither a word nor a time; YAML reads a time as such."""
        text = value.isoformat() if isinstance(value, datetime) else value
        if isinstance(text, str) and text not in (REAL, PAUSED):
            stopped_time(text)
        return text

    @property
    def stopped_at(self) -> float | None:
        """When the clock of a lab begins and stands still, in epoch seconds; None: it is the machine's."""
        return None if self.clock == REAL else START if self.clock == PAUSED else stopped_time(self.clock)

    @field_validator("lab_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse a token that no header can carry."""
        if value is not None and not is_token(value.get_secret_value()):
            raise ValueError("expected one word of letters, digits and -._~+/=")
        return value


def token_of(settings: Settings) -> str | None:
    """Return the token of `/lab/v1` in the clear, None without one."""
    return None if settings.lab_token is None else settings.lab_token.get_secret_value()


def read_settings(given: Mapping[str, object], defaults: Mapping[str, object]) -> Settings:
    """Return the settings of a command: `given` options over the file that `config` names, over `defaults`.

    Options that are no settings are ignored; an unknown name in the file is an error. Raise ValidationError, and
    ValueError for a file that cannot be read.
    """
    from_file: dict[str, Any] = {}
    if (config := given.get("config")) is not None:
        from_file = _read_file(Path(str(config)))
    options = {name: value for name, value in given.items() if name in Settings.model_fields}
    return Settings(**{**defaults, **from_file, **options})


def describe_bad_value(problem: Problem) -> str:
    """Return what is wrong with the value of a setting, and the value, unless that is secret or said already."""
    value = repr(problem.value)
    is_secret = bool(problem.place) and problem.place[0] in SECRET_SETTINGS
    told = is_secret or ", but got " in problem.text or value in problem.text
    return problem.text if told else f"{problem.text}, but it is {shown(problem.value)}"


def describe_bad_line(file: Path, name: str, problem: str | None) -> str:
    """Return one line with the file, line and problem of a setting; `problem` None means an unknown name."""
    import yaml

    tree = yaml.compose(whole_files.read_text(file), Loader=yaml.SafeLoader)
    pairs = tree.value if isinstance(tree, yaml.MappingNode) else []
    lines = [key.start_mark.line + 1 for key, _ in pairs if key.value == name]
    if problem is None:
        known = sorted(Settings.model_fields)
        problem = f"there is no such setting; {expected(name, known)}"
    return f"{file}{f', line {lines[-1]}' if lines else ''}: {name}: {problem}"


def _read_file(file: Path) -> dict[str, Any]:
    import yaml

    from imagestore_sim.yaml_text import BoundedLoader, TwiceGiven, read_yaml

    class Loader(BoundedLoader):
        names_are_unique = True

    try:
        _, content = read_yaml(whole_files.read_text(file), Loader)
    except FileNotFoundError:
        raise ValueError(f"{file}: there is no such file to read settings from") from None
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file}: is not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        kind = "" if isinstance(error, TwiceGiven) else "not valid YAML: "
        raise ValueError(
            f"{file}: {kind}{', '.join(one for one in (error.context, error.problem) if one)}{where}"
        ) from None
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: not valid YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ValueError(f"{file}: must hold settings by name, as in `port: 8080`")
    return content
