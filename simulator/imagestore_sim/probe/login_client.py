"""Our side of a login: answers the questions of asyncssh and the server, and keeps what the server sends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import asyncssh
from typing_extensions import override

from imagestore_sim.probe.failures import LoginEvidence
from imagestore_sim.probe.host_keys import HostKeys
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.target import Target

_KEPT = 500  # characters of a server's messages
# Words by which a server asks for a new password: OpenSSH's and PAM's, in the languages of most hosts.
_NEW_PASSWORD = re.compile(
    r"expired|chang|new\s|current|retype|old\s|unix|abgelaufen|neues|aktuelles|ändern|expiré|nouveau|actuel|caducad|nueva"
    r"|actual|新|旧|当前|當前|更改|过期|過期|期限|現在|истёк|истек|новый|текущий",
    re.IGNORECASE,
)


class LoginClient(asyncssh.SSHClient):
    """Answers questions during a login, and fills `evidence`, from which a failure is classified.

    A password is offered once in a login: another attempt would count towards locking the account.
    """

    def __init__(self, phases: Phases, host_keys: HostKeys, target: Target, evidence: LoginEvidence) -> None:
        self._phases = phases
        self._host_keys = host_keys
        self._target = target
        self._password = target.password
        self._evidence = evidence
        self._is_interactive = False
        self.complaint: str | None = None
        """What is wrong with the host's key; None if nothing is."""

    @override
    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.complaint = self._host_keys.judge(host, addr, port, key)
        return self.complaint is None

    @override
    def begin_auth(self, username: str) -> None:
        self._phases.begin("auth")
        self._evidence.offered = self._target.password is None

    @override
    def auth_banner_received(self, msg: str, lang: str) -> None:
        # A banner before a password was offered is the same for everybody, and says nothing of this login.
        if self._evidence.offered:
            self._keep(msg)

    def _keep(self, text: str) -> None:
        self._evidence.said = f"{self._evidence.said} {text}".strip()[:_KEPT]
        if _NEW_PASSWORD.search(text) and "password" in text.lower():
            self._evidence.expired = True

    @override
    def password_auth_requested(self) -> str | None:
        password, self._password = self._password, None
        self._evidence.offered = True
        return password

    @override
    def password_change_requested(self, prompt: str, lang: str) -> tuple[str, str]:
        # Declined: a probe must not change the password of a host.
        self._evidence.expired = True
        return cast("tuple[str, str]", NotImplemented)

    @override
    def kbdint_auth_requested(self) -> str | None:
        # An sshd without PAM offers the method, asks nothing, and counts each request as a failed login. It is still
        # offered then, and asyncssh would ask for it until the server has had enough.
        is_new, self._is_interactive = not self._is_interactive, True
        return "" if is_new and self._password is not None else None

    @override
    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        # The question for the password may be in any language: it is the one whose answer is not echoed.
        if instructions.strip() and self._evidence.offered:
            self._keep(instructions)
        if not prompts:
            return []
        hidden = [prompt for prompt, echo in prompts if not echo]
        if self._password is None or len(hidden) != 1 or len(prompts) > 2:
            self._note_questions(name, instructions, [prompt for prompt, _ in prompts])
            return None
        password = self.password_auth_requested() or ""
        return [self._target.username if echo else password for _, echo in prompts]

    def _note_questions(self, name: str, instructions: str, prompts: list[str]) -> None:
        asked = " ".join([name, instructions, *prompts]).strip()[:_KEPT]
        if self._evidence.offered and self._password is None and _NEW_PASSWORD.search(asked):
            self._evidence.expired = True
        self._evidence.asked = asked
        self._evidence.offered = True
