"""Our side of a login: what is offered to a server, and what it is heard to say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import asyncssh

from imagestore_sim.probe.failures import LoginEvidence
from imagestore_sim.probe.host_keys import HostKeys
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.target import Target

_SAID = 500  # characters kept of what a server says
# How a server words that it wants a new password: OpenSSH and PAM, in the languages of most hosts.
_NEW_PASSWORD = re.compile(
    r"expired|chang|new\s|current|retype|old\s|unix|abgelaufen|neues|aktuelles|ändern|expiré|nouveau|actuel|caducad|nueva"
    r"|actual|新|旧|当前|當前|更改|过期|過期|期限|現在|истёк|истек|новый|текущий",
    re.IGNORECASE,
)


class LoginClient(asyncssh.SSHClient):
    """Answers what asyncssh and the server ask during a login, and notes in `evidence` what a failure can be told from.

    A password is offered once a login: each further try would count towards a lock of the account.
    """

    def __init__(self, phases: Phases, host_keys: HostKeys, target: Target, evidence: LoginEvidence) -> None:
        self._phases = phases
        self._host_keys = host_keys
        self._target = target
        self._password = target.password
        self._evidence = evidence
        self.complaint: str | None = None
        """What is wrong with the key that the host has shown."""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether the policy for host keys takes this one."""
        self.complaint = self._host_keys.judge(host, addr, port, key)
        return self.complaint is None

    def begin_auth(self, username: str) -> None:
        """The keys have been exchanged."""
        self._phases.begin("auth")
        self._evidence.offered = self._target.password is None

    def auth_banner_received(self, msg: str, lang: str) -> None:
        """Keep what a server says of a login that it has seen; a banner that everybody gets comes before that."""
        if self._evidence.offered:
            self._say(msg)

    def _say(self, text: str) -> None:
        self._evidence.said = f"{self._evidence.said} {text}".strip()[:_SAID]
        if _NEW_PASSWORD.search(text) and "password" in text.lower():
            self._evidence.expired = True

    def password_auth_requested(self) -> str | None:
        """The password, once."""
        password, self._password = self._password, None
        self._evidence.offered = True
        return password

    def password_change_requested(self, prompt: str, lang: str) -> tuple[str, str]:
        """Decline: the password of a host is not ours to change."""
        self._evidence.expired = True
        return cast("tuple[str, str]", NotImplemented)

    def kbdint_auth_requested(self) -> str | None:
        """Take part while there is a password to offer."""
        return None if self._password is None else ""

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Answer a question for the password, in whatever language: the one whose answer is not to be seen."""
        if instructions.strip() and self._evidence.offered:
            self._say(instructions)
        if not prompts:
            return []
        hidden = [prompt for prompt, echo in prompts if not echo]
        if self._password is None or len(hidden) != 1 or len(prompts) > 2:
            self._note_questions(name, instructions, [prompt for prompt, _ in prompts])
            return None
        password = self.password_auth_requested() or ""
        return [self._target.username if echo else password for _, echo in prompts]

    def _note_questions(self, name: str, instructions: str, prompts: list[str]) -> None:
        asked = " ".join([name, instructions, *prompts]).strip()[:_SAID]
        if self._evidence.offered and self._password is None and _NEW_PASSWORD.search(asked):
            self._evidence.expired = True
        self._evidence.asked = asked
        self._evidence.offered = True
