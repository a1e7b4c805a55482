"""Faults of sessions: what one gets to run on a host that let one in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from imagestore_sim.faults.base import Answer, CuttingFault, Effect, Fault, Layer, Noticed
from imagestore_sim.faults.behaviour import Behaviour, ForcedAnswer
from imagestore_sim.faults.registry import fault
from imagestore_sim.reasons import Reason
from imagestore_sim.units import CommandName

NOLOGIN = "This account is currently not available.\n"


@fault(
    Layer.SESSION,
    heals="The subsystem is there again, for connections to come.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NO_COMMAND],
    stands_for=[Reason.NO_COMMAND],
)
class NoSftp(CuttingFault):
    """sshd has no SFTP subsystem; a connection keeps what its sshd_config said when it was made."""

    def change(self, now: Behaviour) -> None:
        now.no_sftp = True


@fault(
    Layer.SESSION,
    heals="The extension is there again, for sessions to come.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.NO_COMMAND],
)
class NoStatvfs(Fault):
    """The SFTP server does not know `statvfs@openssh.com`, as servers other than OpenSSH's may not; sessions that are
    open keep the server that they have."""

    def change(self, now: Behaviour) -> None:
        now.no_statvfs = True


@fault(
    Layer.SESSION,
    heals="The account gets its shell back, for connections to come.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NO_CAPACITY],
)
class ForcedCommand(CuttingFault):
    """Whatever is asked for, a command, a shell or SFTP, gets the same answer, as from ForceCommand or a nologin shell;
    a connection keeps what its sshd_config said when it was made."""

    says: str = Field(NOLOGIN, description="the answer")
    status: int = Field(1, ge=0, le=255, description="its exit status")

    def change(self, now: Behaviour) -> None:
        now.forced_answer = ForcedAnswer(self.says, self.status)


@fault(
    Layer.SESSION,
    heals="Answers hold something again, for connections to come.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NO_CAPACITY],
    stands_for=[Reason.NO_CAPACITY, Reason.ERROR],
)
class EmptyAnswers(CuttingFault):
    """Whatever is asked for ends at once, with nothing said and success claimed."""

    def change(self, now: Behaviour) -> None:
        now.forced_answer = ForcedAnswer("", 0)


@fault(
    Layer.SESSION,
    heals="Login scripts are quiet again.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_LOGIN,
    causes=(),
)
class NoisyShell(Fault):
    """Login scripts print something before whatever is run, SFTP included, which that breaks; sessions that are open
    are past it."""

    says: str = Field("Welcome!\n/dev/sda1 1 1 1 1% /\n", description="what they print")

    def change(self, now: Behaviour) -> None:
        now.noise += self.says


@fault(
    Layer.SESSION,
    heals="The commands are there again.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NO_COMMAND],
    stands_for=[Reason.NO_COMMAND],
    stands_with={"commands": ["df", "stat"]},
)
class CommandMissing(Fault):
    """Commands are not there, as on a minimal image."""

    commands: tuple[CommandName, ...] = Field(("df",), description="their names")

    def change(self, now: Behaviour) -> None:
        now.missing_commands.update(self.commands)


@fault(
    Layer.SESSION,
    heals="What hung goes on, unless whoever asked has given up.",
    effect=Effect.LASTING,
    answer=Answer.SILENT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.HUNG],
)
class HungCommand(Fault):
    """Commands begin and never end; SFTP goes on, but a login shell that hangs lets no new session of it begin."""

    commands: tuple[CommandName, ...] = Field(
        (), description="their names; with none the login shell itself, and so all"
    )

    def change(self, now: Behaviour) -> None:
        now.hung_commands.update(self.commands)
        now.hung_shell = now.hung_shell or not self.commands


@fault(
    Layer.SESSION,
    heals="Questions are answered, unless whoever asked has given up.",
    effect=Effect.LASTING,
    answer=Answer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.HUNG],
)
class HungSftp(Fault):
    """The SFTP server answers nothing any more, in sessions that are open either."""

    def change(self, now: Behaviour) -> None:
        now.hung_sftp = True


@fault(
    Layer.SESSION,
    heals="The SFTP server is a sound one again, for connections to come.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class BrokenSftp(CuttingFault):
    """The SFTP server is a broken one: to every question it gives an answer of another `type`, with the number of
    another question (`id`), one that is too `short`, one whose length is `huge`, or no SFTP at all (`text`)."""

    how: Literal["type", "id", "short", "huge", "text"] = Field("type", description="in which way")

    def change(self, now: Behaviour) -> None:
        now.broken_sftp = self.how


@fault(
    Layer.SESSION,
    heals="Sessions end when what they run does; those that linger end too.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class LingeringSession(Fault):
    """A session stays open when its command has ended, as with a login script that leaves something in the background:
    the answer is complete, its end and exit status never come. SFTP is not concerned."""

    def change(self, now: Behaviour) -> None:
        now.sessions_linger = True


@fault(
    Layer.SESSION,
    heals="Sessions live on; connections that were lost stay lost.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.RESET],
)
class KilledSession(CuttingFault):
    """The process that serves a connection is killed as soon as a session begins, as by the kernel when memory is
    short."""

    def change(self, now: Behaviour) -> None:
        now.kills_sessions = True
