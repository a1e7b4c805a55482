"""Container forms of the faults of sessions."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo, form, refuse
from imagestore_sim.containers.faults.processes import RELOAD, cut
from imagestore_sim.containers.faults.sshd_config import configure
from imagestore_sim.containers.faults.state_files import FOLDER, PROGRAMS, layer, new_number, run
from imagestore_sim.faults import session
from imagestore_sim.scenario.format import model

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

SFTP_SERVER = "/usr/lib/openssh/sftp-server"
# What bash and dash do themselves, and what scripts of faults are run with.
ALWAYS_THERE = frozenset(
    ("[", "cd", "command", "echo", "exit", "false", "kill", "printf", "pwd", "read", "test", "true")
)
ALWAYS_THERE |= {"bash", "busybox", "sh", "timeout"}


def _always_there(fault: session.CommandMissing | session.HungCommand, _host: model.Host) -> str | None:
    found = sorted(ALWAYS_THERE.intersection(fault.commands))
    return f"{', '.join(found)}: a part of the shell, or needed to put faults on the host" if found else None


async def _commands(host: ContainerHost, *lines: str) -> Undo:
    """`missing NAME`, `hung NAME` or `options NAME OPTION...`: what has become of commands."""
    return await layer(host, "commands", "".join(f"{line}\n" for line in lines), f"{PROGRAMS}/commands")


@form(session.NoSftp, how="no `Subsystem` line in sshd_config")
async def no_sftp(fault: session.NoSftp, host: ContainerHost) -> Undo:
    files = "/etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf"
    settle = f"""
    if [ -n "$(ls)" ]; then
      sed -i 's/^Subsystem/#fault &/' {files}
    else
      sed -i 's/^#fault //' {files}
    fi
    {RELOAD}
    """
    heal = await layer(host, "no_sftp", "", settle)
    if fault.cut:
        await cut(host)
    return heal


@form(session.NoStatvfs, how="`sftp-server -P statvfs,fstatvfs`, which no longer offers it, for sessions to come")
async def no_statvfs(_fault: session.NoStatvfs, host: ContainerHost) -> Undo:
    return await _commands(host, f"options {SFTP_SERVER} -P statvfs,fstatvfs")


async def _force(host: ContainerHost, command: str, *, cutting: bool) -> Undo:
    heal = await configure(host, f"ForceCommand {command}")
    if cutting:
        await cut(host)
    return heal


@form(session.ForcedCommand, how="`ForceCommand`, for connections to come")
async def forced_command(fault: session.ForcedCommand, host: ContainerHost) -> Undo:
    program = f"{FOLDER}/forced-{new_number()}"
    said = f"#!/bin/busybox sh\nprintf %s {quote(fault.says)}\nexit {fault.status}\n"
    await run(host, f"cat >{program}; chmod 0755 {program}", given=said)
    return await _force(host, program, cutting=fault.cut)


@form(session.EmptyAnswers, how="`ForceCommand true`, for connections to come")
async def empty_answers(fault: session.EmptyAnswers, host: ContainerHost) -> Undo:
    return await _force(host, "true", cutting=fault.cut)


@form(session.NoisyShell, how="a line in /etc/bash.bashrc, which bash reads for commands over SSH too")
async def noisy_shell(fault: session.NoisyShell, host: ContainerHost) -> Undo:
    return await layer(host, "login", f"printf %s {quote(fault.says)}\n", "")


@form(session.CommandMissing, how="the programs are moved away", unless=_always_there)
async def command_missing(fault: session.CommandMissing, host: ContainerHost) -> Undo:
    return await _commands(host, *(f"missing {name}" for name in fault.commands))


@form(
    session.HungCommand,
    how="scripts that wait stand in for the programs; without names /etc/bash.bashrc waits",
    unless=_always_there,
)
async def hung_command(fault: session.HungCommand, host: ContainerHost) -> Undo:
    if fault.commands:
        return await _commands(host, *(f"hung {name}" for name in fault.commands))
    return await layer(host, "login", 'while [ -e "$fault" ]; do /bin/busybox sleep 0.1; done\n', "")


@form(session.HungSftp, how="SIGSTOP to the SFTP servers that run, and a script that waits stands in for others")
async def hung_sftp(_fault: session.HungSftp, host: ContainerHost) -> Undo:
    replaced = await _commands(host, f"hung {SFTP_SERVER}")
    await run(host, "pkill -STOP -x sftp-server || true")

    async def heal() -> None:
        await replaced()
        await run(
            host,
            f"grep -q -x 'hung {SFTP_SERVER}' {FOLDER}/commands/* 2>/dev/null || pkill -CONT -x sftp-server || true",
        )

    return heal


refuse(session.BrokenSftp, "OpenSSH's sftp-server answers what it is asked; the hosts of an embedded lab can be broken")


@form(session.LingeringSession, how="/etc/bash.bashrc leaves a program in the background that keeps the output open")
async def lingering_session(_fault: session.LingeringSession, host: ContainerHost) -> Undo:
    return await layer(host, "login", '( while [ -e "$fault" ]; do /bin/busybox sleep 0.1; done ) &\n', "")


@form(session.KilledSession, how="a forced command kills what serves the connection")
async def killed_session(fault: session.KilledSession, host: ContainerHost) -> Undo:
    return await _force(host, "kill -KILL $PPID", cutting=fault.cut)
