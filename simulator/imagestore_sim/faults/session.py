"""Faults of sessions: of what a client runs once it has logged in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from typing_extensions import override

from imagestore_sim.faults.base import CuttingFault, Effect, Fault, Layer, Noticed, ProbeAnswer
from imagestore_sim.faults.behaviour import Behaviour, ForcedAnswer
from imagestore_sim.faults.registry import fault
from imagestore_sim.reasons import Reason
from imagestore_sim.units import CommandName

NOLOGIN = "This account is currently not available.\n"


@fault(
    Layer.SESSION,
    heals="The subsystem is there again, for new connections.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NO_COMMAND],
    stands_for=[Reason.NO_COMMAND],
)
class NoSftp(CuttingFault):
    """sshd has no SFTP subsystem. A connection keeps the sshd_config that it was made with."""

    @override
    def change(self, now: Behaviour) -> None:
        now.no_sftp = True


@fault(
    Layer.SESSION,
    heals="The extension is there again, for new sessions.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.NO_COMMAND],
)
class NoStatvfs(Fault):
    """The SFTP server has no `statvfs@openssh.com`, as some servers other than OpenSSH's.

    Sessions that are open keep the server that they have.
    """

    @override
    def change(self, now: Behaviour) -> None:
        now.no_statvfs = True


@fault(
    Layer.SESSION,
    heals="The account has its shell again, for new connections.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NO_CAPACITY],
)
class ForcedCommand(CuttingFault):
    """Every command, shell or SFTP session gets the same answer, as from ForceCommand or a nologin shell.

    A connection keeps the sshd_config that it was made with.
    """

    says: str = Field(NOLOGIN, description="the text of the answer")
    status: int = Field(1, ge=0, le=255, description="its exit status")

    @override
    def change(self, now: Behaviour) -> None:
        now.forced_answer = ForcedAnswer(self.says, self.status)


@fault(
    Layer.SESSION,
    heals="Answers are complete again, for new connections.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NO_CAPACITY],
    stands_for=[Reason.NO_CAPACITY, Reason.ERROR],
)
class EmptyAnswers(CuttingFault):
    """Every command, shell or SFTP session ends at once, with exit status 0 and no output."""

    @override
    def change(self, now: Behaviour) -> None:
        now.forced_answer = ForcedAnswer("", 0)


@fault(
    Layer.SESSION,
    heals="Login scripts are quiet again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=(),
)
class NoisyShell(Fault):
    """Login scripts print something before each command, and before SFTP, which that breaks.

    Sessions that are open are not affected.
    """

    says: str = Field("Welcome!\n/dev/sda1 1 1 1 1% /\n", description="what they print")

    @override
    def change(self, now: Behaviour) -> None:
        now.noise += self.says


@fault(
    Layer.SESSION,
    heals="The commands are there again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NO_COMMAND],
    stands_for=[Reason.NO_COMMAND],
    stands_with={"commands": ["df", "stat"]},
)
class CommandMissing(Fault):
    """Commands are missing, as on a minimal image."""

    commands: tuple[CommandName, ...] = Field(("df",), description="their names")

    @override
    def change(self, now: Behaviour) -> None:
        now.missing_commands.update(self.commands)


@fault(
    Layer.SESSION,
    heals="Commands that hung continue, unless their clients have left.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.SILENT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.HUNG],
)
class HungCommand(Fault):
    """Commands begin and never end. SFTP still works, but with a login shell that hangs no new SFTP session begins."""

    commands: tuple[CommandName, ...] = Field(
        (), description="their names; with none the login shell itself hangs, and so all commands", examples=[["df"]]
    )

    @override
    def change(self, now: Behaviour) -> None:
        now.hung_commands.update(self.commands)
        now.hung_shell = now.hung_shell or not self.commands


@fault(
    Layer.SESSION,
    heals="Requests are answered, unless their clients have left.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.HUNG],
)
class HungSftp(Fault):
    """The SFTP server answers no request, in open sessions too."""

    @override
    def change(self, now: Behaviour) -> None:
        now.hung_sftp = True


@fault(
    Layer.SESSION,
    heals="The SFTP server is a sound one again, for new connections.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class BrokenSftp(CuttingFault):
    """The SFTP server breaks its protocol with every answer.

    An answer is of another `type`, has the `id` of another request, is too `short`, states a `huge` length, or is a
    line of `text` in place of SFTP.
    """

    how: Literal["type", "id", "short", "huge", "text"] = Field("type", description="how its answers are wrong")

    @override
    def change(self, now: Behaviour) -> None:
        now.broken_sftp = self.how


@fault(
    Layer.SESSION,
    heals="Sessions end with their commands; those that linger end too.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class LingeringSession(Fault):
    """A session stays open when its command has ended, as with a login script that leaves a program in the background.

    The output is complete, but its end and the exit status never come. SFTP is not affected.
    """

    @override
    def change(self, now: Behaviour) -> None:
        now.sessions_linger = True


@fault(
    Layer.SESSION,
    heals="Sessions live on; connections that were lost stay lost.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.RESET],
)
class KilledSession(CuttingFault):
    """The process that serves a connection is killed as soon as a session begins, as by a kernel short of memory."""

    @override
    def change(self, now: Behaviour) -> None:
        now.kills_sessions = True
