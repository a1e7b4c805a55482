"""The modules of `/probe`: how to log in, and to which hosts. They come from a file that the operator names."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from imagestore_sim.bootstrap.reader import read_file
from imagestore_sim.globs import matches_glob
from imagestore_sim.lab_api.probe_page import NotAllowed
from imagestore_sim.plain_numbers import PlainNumbers
from imagestore_sim.probe import Target
from imagestore_sim.probe.place import parse_place
from imagestore_sim.probe.resolving import literal_address
from imagestore_sim.units import Path as AbsolutePath
from imagestore_sim.units import Seconds

MOST = 1000
_LIKE_ADDRESS = re.compile(r"[0-9.*?]+")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


def _check_pattern(text: str) -> str:
    """Refuse a pattern that looks like one of addresses and is none: 10.* would match 10.example.org."""
    if "/" in text or ":" in text or (_LIKE_ADDRESS.fullmatch(text) and text != "*"):
        ipaddress.ip_network(text)  # raises ValueError, which says what is wrong
    return text.lower()


def _plain_number(value: object) -> object:
    """Return the number in a text, as which the file's plain scalars are read."""
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


Pattern = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_check_pattern)]


class ProbeModule(PlainNumbers):
    """One way to log in, and where it may be used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: tuple[Pattern, ...] = Field(
        min_length=1,
        max_length=MOST,
        description="the hosts that may be probed: names with * and ?, addresses, or networks such as 10.0.0.0/24",
    )
    url: AbsolutePath = Field(description="absolute path on each host whose capacity is measured")
    username: str = Field("root", min_length=1, max_length=255, description="user to log in as")
    password: SecretStr | None = Field(None, description="password to log in with; `!env NAME` reads a variable")
    identityFile: Path | None = Field(None, description="private key to try before the password")  # noqa: N815
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        (22,),
        min_length=1,
        max_length=MOST,
        description="SSH ports that a target may name; the first is that of a target without one",
    )
    timeout: Annotated[Seconds, BeforeValidator(_plain_number)] = Field(
        10.0, gt=0, le=120, description="longest duration of a probe"
    )

    def target(self, text: str) -> Target:
        """Return the target that HOST or HOST:PORT names. Raise NotAllowed, ValueError."""
        user, host, port = parse_place(text)
        if user is not None:
            raise ValueError("target: expected HOST or HOST:PORT; the module has the user name")
        if not any(_matches(pattern, host) for pattern in self.targets):
            raise NotAllowed(f"{host} is not among the targets of this module")
        if port is not None and port not in self.ports:
            raise NotAllowed(f"port {port} is not among the ports of this module")
        password = None if self.password is None else self.password.get_secret_value()
        return Target(host, port or self.ports[0], self.username, self.url, password)


class ProbeModules(BaseModel):
    """A file of modules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modules: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")], ProbeModule] = Field(
        min_length=1, max_length=MOST, description="modules by name; `default` is used by a request that names none"
    )


def read_modules(file: Path) -> ProbeModules:
    """Return the modules of a file, in which `!env` may read the environment. Raise BootstrapError."""
    return read_file(file, ProbeModules)


def _matches(pattern: str, host: str) -> bool:
    address = literal_address(host)
    if address is None or pattern == "*":
        return matches_glob(pattern, [host.lower().removesuffix(".")])
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(pattern)
    except ValueError:  # a pattern of names
        return False
