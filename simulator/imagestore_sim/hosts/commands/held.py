"""Commands that faults take away from a host, or that hang there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from posixpath import normpath
from typing import TYPE_CHECKING

from imagestore_sim.faults.behaviour import Behaviour
from imagestore_sim.hosts.shell import Call, Command

if TYPE_CHECKING:
    from imagestore_sim.hosts.host import SimulatedHost

READS_PATHS = frozenset(
    ("df", "stat", "test", "[", "ls", "cat", "cd", "mkdir", "rmdir", "rm", "touch", "chmod", "head", "tail", "mktemp")
) | {"grep", "wc"}
"""Commands whose operands are paths that they access: they hang where a path does."""


def with_faults(host: SimulatedHost, commands: Mapping[str, Command]) -> Mapping[str, Command]:
    """Return `commands` as the faults on a host leave them: some are missing, some wait before they begin."""
    now = host.behaviour
    if not (now.missing_commands or now.hung_commands or now.hung_shell or now.hung_paths):
        return commands
    return {
        name: replace(command, run=_Held(host, name, command))
        for name, command in commands.items()
        if name not in now.missing_commands
    }


class _Held:
    """A command that begins once nothing that it needs hangs any more."""

    def __init__(self, host: SimulatedHost, name: str, command: Command) -> None:
        self._host = host
        self._name = name
        self._command = command

    async def __call__(self, call: Call) -> int:
        await self._host.wait_until(lambda now: not self._hangs(now, call))
        return await self._command.run(call)

    def _hangs(self, now: Behaviour, call: Call) -> bool:
        if self._name in now.hung_commands:
            return True
        if not now.hung_paths or self._name not in READS_PATHS:
            return False
        paths = [call.path(argument) for argument in call.arguments if not argument.startswith("-")]
        return any(now.hangs(normpath(path)) for path in paths) or (self._name == "df" and not paths)
