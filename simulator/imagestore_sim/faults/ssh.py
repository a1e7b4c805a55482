"""Faults of sshd: which logins succeed, how many at a time, how fast, and its host key."""

from __future__ import annotations

from typing import Literal

import asyncssh
from pydantic import Field, PrivateAttr
from typing_extensions import override

from imagestore_sim.faults.base import Effect, Fault, Layer, Noticed, ProbeAnswer
from imagestore_sim.faults.behaviour import Behaviour, StartupLimit
from imagestore_sim.faults.registry import fault
from imagestore_sim.reasons import Reason
from imagestore_sim.units import Count, Seconds


@fault(
    Layer.SSH,
    heals="sshd takes logins again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.BUSY, Reason.RESET],
    stands_for=[Reason.BUSY],
)
class MaxStartups(Fault):
    """sshd has too many logins under way, and turns more away before its banner (its MaxStartups start:rate:full).

    Connections that have logged in are not affected.
    """

    start: Count = Field(0, description="logins under way from which on sshd turns some away")
    rate: int = Field(100, ge=0, le=100, description="how many of a hundred it turns away, by the seed of the host")
    full: Count = Field(0, description="logins under way from which on it turns all away; at least `start`")
    how: Literal["line", "close", "reset"] = Field(
        "line",
        description="`line` sends Exceeded MaxStartups, as OpenSSH does since 8.5, `close` closes, `reset` resets",
    )

    @override
    def change(self, now: Behaviour) -> None:
        now.startups = StartupLimit(self.start, self.rate, max(self.start, self.full), self.how)


@fault(
    Layer.SSH,
    heals="sshd opens sessions again, for new connections.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.BUSY],
)
class MaxSessions(Fault):
    """sshd opens at most a number of sessions on each connection (its MaxSessions).

    Connections that are open keep their limit, and their sessions.
    """

    sessions: Count = Field(0, description="how many sessions; with 0 a client can log in, but do nothing")

    @override
    def change(self, now: Behaviour) -> None:
        now.max_sessions = self.sessions


@fault(
    Layer.SSH,
    heals="Passwords and keys are accepted again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.DENIED,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.AUTH_FAILED],
    stands_for=[Reason.AUTH_FAILED, Reason.HOST_KEY_CHANGED],
)
class AuthFailure(Fault):
    """No account can log in, whatever the password or key. Connections that have logged in are not affected."""

    @override
    def change(self, now: Behaviour) -> None:
        now.logins_denied = True


@fault(
    Layer.SSH,
    heals="The former password logs in again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.DENIED,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.AUTH_FAILED],
)
class PasswordRotated(Fault):
    """The password of the account has been changed. Keys still log in, and open connections stay."""

    password: str = Field("rotated", repr=False, description="the new password")

    @override
    def change(self, now: Behaviour) -> None:
        now.password = self.password


@fault(
    Layer.SSH,
    heals="The account may log in again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.DENIED,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.AUTH_FAILED],
)
class AccountLocked(Fault):
    """One account cannot log in, whatever the password or key. Its open connections stay."""

    username: str = Field("root", description="the account")

    @override
    def change(self, now: Behaviour) -> None:
        now.locked_accounts.add(self.username)


@fault(
    Layer.SSH,
    heals="The password is valid again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.AUTH_FAILED],
)
class ExpiredPassword(Fault):
    """The password of every account has expired: a login with it has to set a new one, and can do nothing else.

    Keys still log in, and open connections stay.
    """

    @override
    def change(self, now: Behaviour) -> None:
        now.expired_password = True


@fault(
    Layer.SSH,
    heals="Accounts may log in again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.AUTH_FAILED],
)
class ExpiredAccount(Fault):
    """Accounts have expired, or PAM refuses them: sshd accepts the password or key, then closes without a message.

    Open connections stay.
    """

    @override
    def change(self, now: Behaviour) -> None:
        now.expired_account = True


@fault(
    Layer.SSH,
    heals="Connections carry only what they have to; those that were cut stay lost.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.FLOOD, Reason.NOT_SSH],
    stands_for=[Reason.FLOOD],
)
class Flood(Fault):
    """The server sends a megabyte that means nothing over each connection.

    With `banner` these are lines of text before its banner, with `keys` ignored packets before the key exchange, with
    `login` notices during the login, with `session` ignored packets as soon as a session begins.
    """

    when: Literal["banner", "keys", "login", "session"] = Field("keys", description="when it sends them")

    @override
    def change(self, now: Behaviour) -> None:
        now.flood = self.when


@fault(
    Layer.SSH,
    heals="sshd has its former key again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.HOST_KEY_CHANGED],
)
class HostKeyChanged(Fault):
    """sshd has another host key, as after a reinstallation. Open connections stay."""

    _key: asyncssh.SSHKey = PrivateAttr(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))

    @override
    def change(self, now: Behaviour) -> None:
        now.host_key = self._key


@fault(
    Layer.SSH,
    heals="Logins are fast again; one that is under way takes as long as before.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.SILENT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.TIMEOUT],
)
class SlowLogin(Fault):
    """A login takes long, as with a name server or a directory that does not answer sshd."""

    seconds: Seconds = Field(2.0, description="how much longer a login takes")

    @override
    def change(self, now: Behaviour) -> None:
        now.login_seconds += self.seconds
