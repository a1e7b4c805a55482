"""Faults of sshd: who is let in, how many, how fast, and with which key it proves who it is."""

from __future__ import annotations

from typing import Literal

import asyncssh
from pydantic import Field, PrivateAttr

from imagestore_sim.faults.base import Answer, Effect, Fault, Layer, Noticed
from imagestore_sim.faults.behaviour import Behaviour, StartupLimit
from imagestore_sim.faults.registry import fault
from imagestore_sim.reasons import Reason
from imagestore_sim.units import Count, Seconds


@fault(
    Layer.SSH,
    heals="sshd takes logins again.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.BUSY, Reason.RESET],
    stands_for=[Reason.BUSY],
)
class MaxStartups(Fault):
    """sshd has too many logins under way and turns others away before its banner, as its MaxStartups start:rate:full
    says; whoever has logged in is not concerned."""

    start: Count = Field(0, description="logins under way from which on some are turned away")
    rate: int = Field(100, ge=0, le=100, description="how many of a hundred, following the seed of the host")
    full: Count = Field(0, description="logins under way from which on all are turned away; at least `start`")
    how: Literal["line", "close", "reset"] = Field(
        "line",
        description="`line` says Exceeded MaxStartups, as OpenSSH does since 8.5, `close` does not, `reset` resets",
    )

    def change(self, now: Behaviour) -> None:
        now.startups = StartupLimit(self.start, self.rate, max(self.start, self.full), self.how)


@fault(
    Layer.SSH,
    heals="sshd opens sessions again, for connections to come.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.BUSY],
)
class MaxSessions(Fault):
    """sshd opens no more than so many sessions on a connection, as its MaxSessions says; connections that are open keep
    what they may, and their sessions."""

    sessions: Count = Field(0, description="how many; with 0 one can log in, and that is all")

    def change(self, now: Behaviour) -> None:
        now.max_sessions = self.sessions


@fault(
    Layer.SSH,
    heals="Passwords and keys are accepted again.",
    effect=Effect.LASTING,
    answer=Answer.DENIED,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.AUTH_FAILED],
    stands_for=[Reason.AUTH_FAILED, Reason.HOST_KEY_CHANGED],
)
class AuthFailure(Fault):
    """Nobody can log in, whatever the password or key; whoever has logged in is not concerned."""

    def change(self, now: Behaviour) -> None:
        now.logins_denied = True


@fault(
    Layer.SSH,
    heals="The former password logs in again.",
    effect=Effect.LASTING,
    answer=Answer.DENIED,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.AUTH_FAILED],
)
class PasswordRotated(Fault):
    """The password of the account is another one now; keys still log in, and connections that are open stay."""

    password: str = Field("rotated", repr=False, description="the new one")

    def change(self, now: Behaviour) -> None:
        now.password = self.password


@fault(
    Layer.SSH,
    heals="The account may log in again.",
    effect=Effect.LASTING,
    answer=Answer.DENIED,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.AUTH_FAILED],
)
class AccountLocked(Fault):
    """One account cannot log in, whatever the password or key; its connections that are open stay."""

    username: str = Field("root", description="whose")

    def change(self, now: Behaviour) -> None:
        now.locked_accounts.add(self.username)


@fault(
    Layer.SSH,
    heals="The password is good again.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.AUTH_FAILED],
)
class ExpiredPassword(Fault):
    """The password of every account has expired: a login with it is asked for a new one, and can do nothing
    else; keys still log in, and connections that are open stay."""

    def change(self, now: Behaviour) -> None:
        now.expired_password = True


@fault(
    Layer.SSH,
    heals="Accounts may log in again.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.AUTH_FAILED],
)
class ExpiredAccount(Fault):
    """Accounts have expired, or PAM refuses them: the password or key is right, and then sshd closes the connection
    without a word; connections that are open stay."""

    def change(self, now: Behaviour) -> None:
        now.expired_account = True


@fault(
    Layer.SSH,
    heals="Nothing more is sent than has to be; connections that were cut stay lost.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.FLOOD, Reason.NOT_SSH],
    stands_for=[Reason.FLOOD],
)
class Flood(Fault):
    """What answers sends a megabyte that means nothing, over each connection: lines of text before its banner
    (`banner`), packets to be ignored before the keys are exchanged (`keys`), notices during the login (`login`), or
    packets to be ignored as soon as a session begins (`session`)."""

    when: Literal["banner", "keys", "login", "session"] = Field("keys", description="at which moment")

    def change(self, now: Behaviour) -> None:
        now.flood = self.when


@fault(
    Layer.SSH,
    heals="sshd has its former key back.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.HOST_KEY_CHANGED],
)
class HostKeyChanged(Fault):
    """sshd proves itself with another key, as after a reinstallation; connections that are open stay."""

    _key: asyncssh.SSHKey = PrivateAttr(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))

    def change(self, now: Behaviour) -> None:
        now.host_key = self._key


@fault(
    Layer.SSH,
    heals="Logins are fast again; one that is under way takes its time.",
    effect=Effect.LASTING,
    answer=Answer.SILENT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.TIMEOUT],
)
class SlowLogin(Fault):
    """Logging in takes long, as with a name server or directory that does not answer sshd."""

    seconds: Seconds = Field(2.0, description="how long")

    def change(self, now: Behaviour) -> None:
        now.login_seconds += self.seconds
