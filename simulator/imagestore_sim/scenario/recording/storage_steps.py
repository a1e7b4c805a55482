"""The steps that one storage and its host contribute to a recorded scenario, in the order of their times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagestore_sim.faults import Fault, Noticed, stand_ins
from imagestore_sim.faults.network import Cut
from imagestore_sim.reasons import Reason

MOMENT = 0.001
"""Seconds between two steps whose order matters."""
Step = tuple[float, dict[str, Any]]
"""The time of a step in seconds since the recording began, and its content as in a file."""


class StorageSteps:
    """Collects steps; keeps the time of the last one, and the faults that are on the host."""

    def __init__(self, name: str, host: str, url: str) -> None:
        """`name` is that of the storage in the scenario."""
        self.all: list[Step] = []
        self.last = 0.0
        self._name = name
        self._host = host
        self._url = url
        self._faults: tuple[type[Fault], ...] = ()

    def add(self, at: float, step: dict[str, Any]) -> None:
        """Append a step."""
        self.all.append((at, step))
        self.last = max(self.last, at)

    def just_before(self, at: float) -> float:
        """Return a time a moment before `at`, but not before the last step."""
        return max(self.last, at - MOMENT)

    def before(self, at: float, seconds: float) -> float:
        """Return the time `seconds` before `at`, but after the last step."""
        return max(at - seconds, self.last + MOMENT if self.last else 0.0)

    # What happens to the host

    def begin_fault(self, at: float, reason: str) -> None:
        """Put the faults on the host that stand for a reason, unless they are on it; end those before."""
        kinds = _kinds_for(reason)
        if kinds == self._faults:
            return
        self.end_fault(at)
        if any(kind.traits.noticed is Noticed.AT_LOGIN for kind in kinds):
            self.add(at, {"fault": {"host": self._host, "kind": Cut.kind}})
        for kind in kinds:
            where = {"path": self._url} if kind.is_at_path() else {}
            self.add(at, {"fault": {"host": self._host, "kind": kind.kind, **where, **kind.traits.stands_with}})
        self._faults = kinds

    def end_fault(self, at: float) -> None:
        """Heal the faults that are on the host."""
        for kind in self._faults:
            self.add(at, {"heal": {"host": self._host, "kind": kind.kind}})
        self._faults = ()

    def resize(self, at: float, total: int) -> None:
        """Change the size of the disk, in bytes."""
        self.add(at, {"resize": {"host": self._host, "size": total}})

    def fill(self, at: float, used: int) -> None:
        """Have `used` bytes of the disk in use."""
        self.add(at, {"fill": {"host": self._host, "to": used}})

    # What a client does

    def add_storage(self, at: float, storage: Mapping[str, Any]) -> None:
        """Add the storage, with a password that is not the recorded one."""
        params = {"name": self._name, "hostname": self._host, "url": self._url, "password": "password",
                  "username": storage["username"], "sshPort": storage["sshPort"]}  # fmt: skip
        path = "/backup-storage/image-store"
        self.add(at, {"call": {"method": "POST", "path": path, "as": self._name, "body": {"params": params}}})

    def reconnect(self, at: float, *, fails: bool) -> None:
        """Reconnect the storage, and expect that to succeed or to fail."""
        call: dict[str, Any] = {
            "method": "PUT",
            "path": f"/backup-storage/${self._name}/actions",
            "body": {"reconnectBackupStorage": {}},
        }
        self.add(at, {"call": {**call, "error": "BS.1500"} if fails else call})

    def delete_storage(self, at: float) -> None:
        """Delete the storage."""
        self.add(at, {"call": {"method": "DELETE", "path": f"/backup-storage/${self._name}"}})

    def expect_disconnected(self, at: float, within: float) -> None:
        """Expect the storage to be Disconnected within a time, in seconds."""
        condition = {"storage": self._name, "status": "Disconnected", "within": f"{within:g}s"}
        self.add(at, {"eventually": condition})


def _kinds_for(reason: str) -> tuple[type[Fault], ...]:
    """Return the kinds that stand for a reason; those of `refused` for one that is not known here."""
    known = reason if reason in set(Reason) else Reason.REFUSED
    return tuple(stand_ins(Reason(known)))
