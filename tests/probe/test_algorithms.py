"""The algorithms that are offered, what lines of ssh_config make of them, and servers that have few."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import asyncssh
import pytest
from asyncssh.packet import SSHPacket
from ssh_stubs import PASSWORD, SshStub, ssh_stub, tcp_server
from statvfs_servers import StatvfsServer

from imagestore_sim.clock import RealClock
from imagestore_sim.probe import Capacity, HostKeyPolicy, ProbeFailure, Prober, Reason, Target
from imagestore_sim.probe.algorithms import CIPHERS, HOST_KEYS, KEY_EXCHANGES, MACS, host_key_algorithms
from imagestore_sim.probe.host_keys import HostKeys
from processes import run
from rows import rows
from sshd import StartSshd

Challenge = tuple[str, str, str, Sequence[tuple[str, bool]]]
READ_BY_OLD_SERVERS = 20
KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


async def offered(prober: Prober) -> list[list[str]]:
    """Greet a client, and return the name lists of its first packet."""
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await reader.readline()
        length = int.from_bytes(await reader.readexactly(4), "big")
        packet = await reader.readexactly(length)
        heard.set_result(packet[1 : len(packet) - packet[0]])

    async with tcp_server(listen) as port:
        await prober.probe(Target("127.0.0.1", port, "root", "/", PASSWORD))
    packet = SSHPacket(await heard)
    packet.get_bytes(17)
    return [[name.decode() for name in packet.get_namelist()] for _ in range(6)]


async def test_key_types_are_offered_in_openssh_s_order_and_every_list_is_short() -> None:
    prober = Prober(RealClock())
    kex, keys, ciphers, _, macs, _ = await offered(prober)
    await prober.close()
    plain = [name for name in keys if "cert" not in name and not name.startswith("sk-")]
    assert plain == [*KEYS[:-1], "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"]
    assert keys.index("ssh-ed25519-cert-v01@openssh.com") < keys.index("ssh-ed25519")
    assert max(len(names) for names in (kex, keys, ciphers, macs)) <= READ_BY_OLD_SERVERS


async def test_every_line_of_algorithms_in_ssh_config_counts(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "Host 127.*\n  Ciphers aes256-ctr\n  MACs -*sha1*,umac*\n  KexAlgorithms ^ecdh-sha2-nistp521\n"
        "  HostKeyAlgorithms +ssh-dss\n"
    )
    prober = Prober(RealClock(), ssh_config=config)
    kex, keys, ciphers, _, macs, _ = await offered(prober)
    await prober.close()
    assert ciphers == ["aes256-ctr"]
    assert macs == [name for name in MACS.default if "sha1" not in name and not name.startswith("umac")]
    assert kex[:2] == ["ecdh-sha2-nistp521", KEY_EXCHANGES.default[0]]
    assert keys == [*HOST_KEYS.default, "ssh-dss"]


@rows(
    ("line", "chosen"),
    [
        ("aes256-ctr,aes128-ctr", ["aes256-ctr", "aes128-ctr"]),
        ("aes256-ctr,unheard-of", ["aes256-ctr"]),
        ("+aes128-cbc", [*CIPHERS.default, "aes128-cbc"]),
        ("-aes*", ["chacha20-poly1305@openssh.com"]),
        ("^aes256-*", ["aes256-gcm@openssh.com", "aes256-ctr", "aes256-cbc"]),
    ],
)
def test_a_line_is_read_as_openssh_does(line: str, chosen: list[str]) -> None:
    found = CIPHERS.changed_by(line)
    assert found == chosen or (line.startswith("^") and found[: len(chosen)] == chosen)


def test_a_line_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="Ciphers unheard-of: none of these"):
        CIPHERS.changed_by("unheard-of")


def test_what_does_not_count_of_a_file_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    included = tmp_path / "included"
    included.write_text("Compression yes\nForwardX11 yes\n")
    config = tmp_path / "config"
    config.write_text(f"Include {included}\nCiphers aes128-ctr,unheard-of\nUserKnownHostsFile=/dev/null\n")
    with caplog.at_level(logging.WARNING):
        Prober(RealClock(), ssh_config=config)
    assert "these lines do not count here: Compression, UserKnownHostsFile" in caplog.text
    assert "Ciphers: unknown here: unheard-of" in caplog.text


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_server_with_one_host_key_of_any_type_is_probed(algorithm: str) -> None:
    key = asyncssh.generate_private_key(algorithm)
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=_Anybody,
        server_host_keys=[key],
        sftp_factory=StatvfsServer,
    )
    prober = Prober(RealClock())
    found = await prober.probe(Target("127.0.0.1", server.get_port(), "root", "/", PASSWORD))
    await prober.close()
    server.close()
    await server.wait_closed()
    assert isinstance(found, Capacity), found


class _Anybody(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@pytest.mark.sshd
@pytest.mark.parametrize(
    ("line", "own", "what"),
    [
        ("HostKeyAlgorithms ssh-ed25519", "HostKeyAlgorithms rsa-sha2-512", "host keys"),
        ("Ciphers aes256-ctr", "Ciphers aes128-ctr", "ciphers"),
        ("KexAlgorithms curve25519-sha256", "KexAlgorithms ecdh-sha2-nistp256", "the key exchange"),
    ],
)
async def test_no_common_algorithm_is_always_reported_as_such(
    start_sshd: StartSshd, tmp_path: Path, line: str, own: str, what: str
) -> None:
    sshd = start_sshd(line)
    config = tmp_path / "config"
    config.write_text(own)
    prober = Prober(RealClock(), identity_file=sshd.identity_file, ssh_config=config)
    for _ in range(5):
        found = await prober.probe(Target("127.0.0.1", sshd.port, sshd.username, "/"))
        assert isinstance(found, ProbeFailure)
        assert found.reason is Reason.NOT_SSH, found
        assert "--ssh-config" in found.advice
        assert f"for {what}: it has {line.split()[1]}" == found.message.partition("common ")[2]
    await prober.close()


@pytest.mark.thorough
@pytest.mark.sshd
async def test_an_old_key_exchange_causes_no_warning_of_a_library(start_sshd: StartSshd) -> None:
    sshd = start_sshd("KexAlgorithms diffie-hellman-group14-sha256")
    target = f"{sshd.username}@127.0.0.1:{sshd.port}"
    finished = await run("probe", target, "--url", "/", "--identity-file", str(sshd.identity_file))
    assert (finished.status, finished.errors) == (0, "")


def test_certificates_are_asked_for_where_an_authority_is_trusted() -> None:
    assert "cert" not in " ".join(host_key_algorithms([], authorities=False))
    assert "cert" in host_key_algorithms([], authorities=True)[0]
    assert host_key_algorithms(["rsa-sha2-256"], authorities=False)[0] == "rsa-sha2-256"


@pytest.mark.parametrize(
    "before", ["# a comment without an end", "", "a.example ssh-ed25519 garbage\r\n", "@nonsense\n"]
)
def test_a_key_is_noted_on_a_line_of_its_own_whatever_the_file_ends_with(tmp_path: Path, before: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(before)
    keys = HostKeys(HostKeyPolicy.TOFU, file)
    key = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
    assert keys.judge("Host.Example", "", 22, key) is None
    assert file.read_text().splitlines()[-1].startswith("host.example ssh-ed25519 ")
    assert file.read_text().startswith(before.replace("\r", ""))
    assert HostKeys(HostKeyPolicy.STRICT, file).judge("host.example", "", 22, key) is None
    assert HostKeys(HostKeyPolicy.STRICT, file).trusted("HOST.example", "", None)[0] == [key]


class _Asking(asyncssh.SSHServer):
    """Asks its questions, of which the first one is for the password."""

    questions: tuple[str, ...] = ("Passwort: ",)

    def __init__(self, stub: SshStub) -> None:
        self._asked = 0

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Challenge:
        return "", "", "", [(self.questions[0], False)]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool | Challenge:
        self._asked += 1
        if list(responses) != [PASSWORD]:
            return False
        if self._asked < len(self.questions):
            return "", "", "", [(self.questions[self._asked], False)]
        return True


@pytest.mark.parametrize(
    "prompt", ["Passwort: ", "Contraseña:", "口令:", "パスワード: ", "Mot de passe : ", "PIN>", ""]
)
async def test_a_hidden_question_in_any_language_is_answered_with_the_password(prompt: str) -> None:
    account = type("Asking", (_Asking,), {"questions": (prompt,)})
    async with ssh_stub(account=account, sftp=StatvfsServer) as stub:
        prober = Prober(RealClock())
        found = await prober.probe(stub.target())
        await prober.close()
    assert isinstance(found, Capacity), found


@pytest.mark.parametrize(
    ("second", "words"),
    [("Verification code: ", "second factor"), ("New password: ", "has expired"), ("新的 密码:", "has expired")],
)
async def test_questions_beyond_the_password_are_in_the_message(second: str, words: str) -> None:
    account = type("Asking", (_Asking,), {"questions": ("Password: ", second)})
    async with ssh_stub(account=account, sftp=StatvfsServer) as stub:
        prober = Prober(RealClock())
        found = await prober.probe(stub.target())
        await prober.close()
    assert isinstance(found, ProbeFailure)
    assert found.reason is Reason.AUTH_FAILED
    assert words in found.advice
