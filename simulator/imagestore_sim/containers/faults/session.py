"""Implementations of the faults of sessions."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo, implement, refuse
from imagestore_sim.containers.faults.processes import cut
from imagestore_sim.containers.faults.sshd_config import RELOAD, configure
from imagestore_sim.containers.faults.state_files import PROGRAMS, STATE, add_state, new_number, run
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.faults import session

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

SFTP_SERVER = "/usr/lib/openssh/sftp-server"
IRREMOVABLE = frozenset(
    ("[", "cd", "command", "echo", "exit", "false", "kill", "printf", "pwd", "read", "test", "true")
) | {"bash", "busybox", "sh", "timeout"}
"""The built-in commands of bash and dash, and the commands that run the scripts of faults."""


def _irremovable(fault: session.CommandMissing | session.HungCommand, _spec: HostSpec) -> str | None:
    found = sorted(IRREMOVABLE.intersection(fault.commands))
    return f"{', '.join(found)}: a part of the shell, or needed to put faults on the host" if found else None


async def _commands(host: ContainerHost, *lines: str) -> Undo:
    """Add lines `missing NAME`, `hung NAME` or `options NAME OPTION...` for the program `commands`."""
    return await add_state(host, "commands", "".join(f"{line}\n" for line in lines), f"{PROGRAMS}/commands")


@implement(session.NoSftp, means="no `Subsystem` line in sshd_config")
async def _no_sftp(fault: session.NoSftp, host: ContainerHost) -> Undo:
    files = "/etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf"
    update = f"""
    if [ -n "$(ls)" ]; then
      sed -i 's/^Subsystem/#fault &/' {files}
    else
      sed -i 's/^#fault //' {files}
    fi
    {RELOAD}
    """
    heal = await add_state(host, "no_sftp", "", update)
    if fault.cut:
        await cut(host)
    return heal


@implement(session.NoStatvfs, means="`sftp-server -P statvfs,fstatvfs`, which no longer offers it, for new sessions")
async def _no_statvfs(_fault: session.NoStatvfs, host: ContainerHost) -> Undo:
    return await _commands(host, f"options {SFTP_SERVER} -P statvfs,fstatvfs")


async def _force(host: ContainerHost, command: str, *, cut_open: bool) -> Undo:
    heal = await configure(host, f"ForceCommand {command}")
    if cut_open:
        await cut(host)
    return heal


@implement(session.ForcedCommand, means="`ForceCommand`, for new connections")
async def _forced_command(fault: session.ForcedCommand, host: ContainerHost) -> Undo:
    program = f"{STATE}/forced-{new_number()}"
    script = f"#!/bin/busybox sh\nprintf %s {quote(fault.says)}\nexit {fault.status}\n"
    await run(host, f"cat >{program}; chmod 0755 {program}", given=script)
    return await _force(host, program, cut_open=fault.cut)


@implement(session.EmptyAnswers, means="`ForceCommand true`, for new connections")
async def _empty_answers(fault: session.EmptyAnswers, host: ContainerHost) -> Undo:
    return await _force(host, "true", cut_open=fault.cut)


@implement(session.NoisyShell, means="a line in /etc/bash.bashrc, which bash reads for commands over SSH too")
async def _noisy_shell(fault: session.NoisyShell, host: ContainerHost) -> Undo:
    return await add_state(host, "login", f"printf %s {quote(fault.says)}\n", "")


@implement(session.CommandMissing, means="the programs are moved away", refused_if=_irremovable)
async def _command_missing(fault: session.CommandMissing, host: ContainerHost) -> Undo:
    return await _commands(host, *(f"missing {name}" for name in fault.commands))


@implement(
    session.HungCommand,
    means="scripts that wait stand in for the programs; without names /etc/bash.bashrc waits",
    refused_if=_irremovable,
)
async def _hung_command(fault: session.HungCommand, host: ContainerHost) -> Undo:
    if fault.commands:
        return await _commands(host, *(f"hung {name}" for name in fault.commands))
    return await add_state(host, "login", 'while [ -e "$fault" ]; do /bin/busybox sleep 0.1; done\n', "")


@implement(session.HungSftp, means="SIGSTOP to the SFTP servers that run, and a script that waits stands in for others")
async def _hung_sftp(_fault: session.HungSftp, host: ContainerHost) -> Undo:
    replaced = await _commands(host, f"hung {SFTP_SERVER}")
    await run(host, "pkill -STOP -x sftp-server || true")

    async def heal() -> None:
        await replaced()
        await run(
            host,
            f"grep -q -x 'hung {SFTP_SERVER}' {STATE}/commands/* 2>/dev/null || pkill -CONT -x sftp-server || true",
        )

    return heal


refuse(session.BrokenSftp, "OpenSSH's sftp-server answers what it is asked; the hosts of an embedded lab can be broken")


@implement(
    session.LingeringSession, means="/etc/bash.bashrc starts a program in the background that holds the output open"
)
async def _lingering_session(_fault: session.LingeringSession, host: ContainerHost) -> Undo:
    return await add_state(host, "login", '( while [ -e "$fault" ]; do /bin/busybox sleep 0.1; done ) &\n', "")


@implement(session.KilledSession, means="a forced command kills what serves the connection")
async def _killed_session(fault: session.KilledSession, host: ContainerHost) -> Undo:
    return await _force(host, "kill -KILL $PPID", cut_open=fault.cut)
