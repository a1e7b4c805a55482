"""Container forms of the faults of sshd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo, form, refuse
from imagestore_sim.containers.faults.proxy import hold_login, redirect
from imagestore_sim.containers.faults.sshd_config import configure
from imagestore_sim.containers.faults.state_files import FOLDER, layer, new_number, run, words
from imagestore_sim.faults import ssh
from imagestore_sim.scenario.format import model

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost


KEY_TYPES = ("rsa", "ecdsa", "ed25519")  # those that `ssh-keygen -A` makes
EXPIRED = "password-expired"
"""The folder of faults that let the password expire."""


def _spares_all(fault: ssh.MaxStartups, _host: model.Host) -> str | None:
    return "sshd's MaxStartups takes a rate of 1 to 100" if fault.rate == 0 else None


@form(
    ssh.MaxStartups,
    how="`MaxStartups`, with one login held under way because sshd counts from 1; for `close` and `reset` a proxy "
    "takes away the line of text",
    capabilities=("NET_ADMIN",),
    lost_at_stop=True,
    unless=_spares_all,
)
async def max_startups(fault: ssh.MaxStartups, host: ContainerHost) -> Undo:
    start, full = fault.start + 1, max(fault.start, fault.full) + 1
    let_go = await hold_login(host)
    configured = await configure(host, f"MaxStartups {start}:{fault.rate}:{full}", "LoginGraceTime 0")
    in_front = None if fault.how == "line" else await redirect(host, f"{fault.how} {host.spec.port}")

    async def heal() -> None:
        if in_front is not None:
            await in_front()
        await let_go()
        await configured()

    return heal


@form(ssh.MaxSessions, how="`MaxSessions`, for connections to come")
async def max_sessions(fault: ssh.MaxSessions, host: ContainerHost) -> Undo:
    return await configure(host, f"MaxSessions {fault.sessions}")


@form(ssh.AuthFailure, how="`DenyUsers *`")
async def auth_failure(_fault: ssh.AuthFailure, host: ContainerHost) -> Undo:
    return await configure(host, "DenyUsers *")


@form(ssh.PasswordRotated, how="`chpasswd`")
async def password_rotated(fault: ssh.PasswordRotated, host: ContainerHost) -> Undo:
    user = host.spec.username
    former = f"{FOLDER}/password"
    settle = f"""
    [ -e {former} ] || (umask 077; grep '^{user}:' /etc/shadow | cut -d: -f1,2 >{former})
    if last=$(ls | tail -n 1) && [ -n "$last" ]; then
      (printf '%s:' {user}; cat "$last") | chpasswd
    else
      chpasswd -e <{former}
      rm {former}
    fi
    if [ -n "$(ls ../{EXPIRED} 2>/dev/null)" ]; then chage -d 0 {user}; fi # chpasswd has made it a fresh one
    """
    return await layer(host, "passwords", f"{fault.password}\n", settle)


@form(ssh.AccountLocked, how="`DenyUsers`")
async def account_locked(fault: ssh.AccountLocked, host: ContainerHost) -> Undo:
    return await configure(host, f"DenyUsers {fault.username}")


PASSWORD_CHANGED, ACCOUNT_ENDS = 3, 8
"""Days since 1970: fields of /etc/shadow."""


async def _expire(host: ContainerHost, sort: str, field: int) -> Undo:
    """Have a date of the account be 1970-01-01, until the last of those faults heals; then it is what it was."""
    user = words(host.spec.username)
    former = f"{FOLDER}/{sort}.former"
    option = "-d" if field == PASSWORD_CHANGED else "-E"
    settle = f"""
    [ -e {former} ] || awk -F: -v user={user} '$1 == user {{ print ${field} }}' /etc/shadow >{former}
    if [ -n "$(ls)" ]; then
      chage {option} 0 {user}
    else
      day=$(cat {former})
      chage {option} "${{day:--1}}" {user}
      rm {former}
    fi
    """
    return await layer(host, sort, "", settle)


@form(ssh.ExpiredPassword, how="`chage -d 0`: PAM asks for a new password, and runs nothing without")
async def expired_password(_fault: ssh.ExpiredPassword, host: ContainerHost) -> Undo:
    return await _expire(host, EXPIRED, PASSWORD_CHANGED)


@form(ssh.ExpiredAccount, how="`chage -E 0`: PAM refuses the account")
async def expired_account(_fault: ssh.ExpiredAccount, host: ContainerHost) -> Undo:
    return await _expire(host, "account-expired", ACCOUNT_ENDS)


refuse(ssh.Flood, "no sshd does that; the hosts of an embedded lab do")


@form(ssh.HostKeyChanged, how="`ssh-keygen`, and `HostKey` lines")
async def host_key_changed(_fault: ssh.HostKeyChanged, host: ContainerHost) -> Undo:
    stem = f"/etc/ssh/fault_{new_number()}"
    keys = [f"{stem}_{kind}" for kind in KEY_TYPES]
    await run(host, "\n".join(f"ssh-keygen -q -t {kind} -N '' -f {stem}_{kind}" for kind in KEY_TYPES))
    return await configure(host, *(f"HostKey {key}" for key in keys))


@form(ssh.SlowLogin, how="PAM waits, with `pam_exec`, once the password or key was right")
async def slow_login(fault: ssh.SlowLogin, host: ContainerHost) -> Undo:
    line = f"account required pam_exec.so quiet /bin/busybox sleep {fault.seconds:g}\n"
    return await layer(host, "logins", line, "ls | xargs -r cat >/etc/pam.d/faults")
