"""Implementations of the faults of sshd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo, implement, refuse
from imagestore_sim.containers.faults.proxy import hold_login, redirect
from imagestore_sim.containers.faults.sshd_config import configure
from imagestore_sim.containers.faults.state_files import STATE, add_state, new_number, quoted, run
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.faults import ssh

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

KEY_TYPES = ("rsa", "ecdsa", "ed25519")
"""The types that `ssh-keygen -A` makes."""
EXPIRED = "password-expired"
"""The group of the state files of `expired_password`."""


def _refuses_none(fault: ssh.MaxStartups, _spec: HostSpec) -> str | None:
    return "sshd's MaxStartups takes a rate of 1 to 100" if fault.rate == 0 else None


@implement(
    ssh.MaxStartups,
    means="`MaxStartups`, with one login held because sshd counts from 1; for `close` and `reset` a proxy "
    "removes the line of text",
    capabilities=("NET_ADMIN",),
    lost_at_stop=True,
    refused_if=_refuses_none,
)
async def _max_startups(fault: ssh.MaxStartups, host: ContainerHost) -> Undo:
    start, full = fault.start + 1, max(fault.start, fault.full) + 1
    release = await hold_login(host)
    configured = await configure(host, f"MaxStartups {start}:{fault.rate}:{full}", "LoginGraceTime 0")
    proxied = None if fault.how == "line" else await redirect(host, f"{fault.how} {host.spec.port}")

    async def heal() -> None:
        if proxied is not None:
            await proxied()
        await release()
        await configured()

    return heal


@implement(ssh.MaxSessions, means="`MaxSessions`, for new connections")
async def _max_sessions(fault: ssh.MaxSessions, host: ContainerHost) -> Undo:
    return await configure(host, f"MaxSessions {fault.sessions}")


@implement(ssh.AuthFailure, means="`DenyUsers *`")
async def _auth_failure(_fault: ssh.AuthFailure, host: ContainerHost) -> Undo:
    return await configure(host, "DenyUsers *")


@implement(ssh.PasswordRotated, means="`chpasswd`")
async def _password_rotated(fault: ssh.PasswordRotated, host: ContainerHost) -> Undo:
    user = host.spec.username
    former = f"{STATE}/password"
    update = f"""
    [ -e {former} ] || (umask 077; grep '^{user}:' /etc/shadow | cut -d: -f1,2 >{former})
    if last=$(ls | tail -n 1) && [ -n "$last" ]; then
      (printf '%s:' {user}; cat "$last") | chpasswd
    else
      chpasswd -e <{former}
      rm {former}
    fi
    if [ -n "$(ls ../{EXPIRED} 2>/dev/null)" ]; then chage -d 0 {user}; fi # chpasswd has renewed it
    """
    return await add_state(host, "passwords", f"{fault.password}\n", update)


@implement(ssh.AccountLocked, means="`DenyUsers`")
async def _account_locked(fault: ssh.AccountLocked, host: ContainerHost) -> Undo:
    return await configure(host, f"DenyUsers {fault.username}")


PASSWORD_CHANGED, ACCOUNT_ENDS = 3, 8
"""Fields of /etc/shadow with a date, in days since 1970."""


async def _expire(host: ContainerHost, group: str, field: int) -> Undo:
    """Set a date of the account to 1970-01-01, and back to its former value when the last fault of the group heals."""
    user = quoted(host.spec.username)
    former = f"{STATE}/{group}.former"
    option = "-d" if field == PASSWORD_CHANGED else "-E"
    update = f"""
    [ -e {former} ] || awk -F: -v user={user} '$1 == user {{ print ${field} }}' /etc/shadow >{former}
    if [ -n "$(ls)" ]; then
      chage {option} 0 {user}
    else
      day=$(cat {former})
      chage {option} "${{day:--1}}" {user}
      rm {former}
    fi
    """
    return await add_state(host, group, "", update)


@implement(ssh.ExpiredPassword, means="`chage -d 0`: PAM demands a new password, and runs no command without")
async def _expired_password(_fault: ssh.ExpiredPassword, host: ContainerHost) -> Undo:
    return await _expire(host, EXPIRED, PASSWORD_CHANGED)


@implement(ssh.ExpiredAccount, means="`chage -E 0`: PAM refuses the account")
async def _expired_account(_fault: ssh.ExpiredAccount, host: ContainerHost) -> Undo:
    return await _expire(host, "account-expired", ACCOUNT_ENDS)


refuse(ssh.Flood, "no sshd does that; the hosts of an embedded lab do")


@implement(ssh.HostKeyChanged, means="`ssh-keygen`, and `HostKey` lines")
async def _host_key_changed(_fault: ssh.HostKeyChanged, host: ContainerHost) -> Undo:
    stem = f"/etc/ssh/fault_{new_number()}"
    keys = [f"{stem}_{kind}" for kind in KEY_TYPES]
    await run(host, "\n".join(f"ssh-keygen -q -t {kind} -N '' -f {stem}_{kind}" for kind in KEY_TYPES))
    return await configure(host, *(f"HostKey {key}" for key in keys))


@implement(ssh.SlowLogin, means="PAM waits, with `pam_exec`, after the password or key is accepted")
async def _slow_login(fault: ssh.SlowLogin, host: ContainerHost) -> Undo:
    line = f"account required pam_exec.so quiet /bin/busybox sleep {fault.seconds:g}\n"
    return await add_state(host, "logins", line, "ls | xargs -r cat >/etc/pam.d/faults")
