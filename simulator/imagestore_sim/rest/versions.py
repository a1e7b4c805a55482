"""The versions of ZStack that a node can answer as (wire-protocol 9).

They differ in the version that a node names, in the APIs that they have, and in one member of errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from imagestore_sim.rest.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class ZStackVersion:
    """A version: what GetVersion answers, and the `globalErrorCode` that an error has, by its code."""

    name: str
    number: str
    global_error_codes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def has(self, since: str | None) -> bool:
        """Return whether an API exists that came with the version `since`; None means that all versions have it."""
        return since is None or _order(since) <= _order(self.name)

    def complete(self, error: ErrorCode) -> ErrorCode:
        """Return an error as this version answers it."""
        code = self.global_error_codes.get(error.code)
        return error if code is None else replace(error, global_code=code)


def _order(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split(".")))


VERSIONS: Mapping[str, ZStackVersion] = MappingProxyType(
    {
        version.name: version
        for version in (
            ZStackVersion("3.10", "3.10.0"),
            ZStackVersion("4.8", "4.8.0"),
            ZStackVersion("5.2", "5.2.1"),
            ZStackVersion("5.4", "5.4.0", {"ID.1001": "ORG_ZSTACK_IDENTITY_10020"}),
        )
    }
)
DEFAULT = VERSIONS["5.2"]
