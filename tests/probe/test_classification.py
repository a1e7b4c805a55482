"""Every exception of connecting, SSH and SFTP, classified."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace

import asyncssh
import pytest
from asyncssh.packet import PacketDecodeError

from imagestore_sim.probe import Reason, Target
from imagestore_sim.probe.classification import classify
from imagestore_sim.probe.failures import NotMounted, Unsupported, excerpt
from imagestore_sim.probe.phases import Phase
from rows import rows

TARGET = Target("imagestore-1", 22, "root", "/zs/1", "secret")

AT_LOGIN: list[tuple[Phase, Exception, Reason]] = [
    ("resolve", socket.gaierror(socket.EAI_NONAME, "Name or service not known"), Reason.DNS),
    ("resolve", TimeoutError(), Reason.TIMEOUT),
    ("tcp", TimeoutError(), Reason.TIMEOUT),
    ("tcp", TimeoutError(errno.ETIMEDOUT, "Connection timed out"), Reason.TIMEOUT),
    ("tcp", ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), Reason.REFUSED),
    ("tcp", ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), Reason.RESET),
    ("tcp", OSError(errno.EHOSTUNREACH, "No route to host"), Reason.UNREACHABLE),
    ("tcp", OSError(errno.ENETUNREACH, "Network is unreachable"), Reason.UNREACHABLE),
    ("tcp", PermissionError(errno.EPERM, "Operation not permitted"), Reason.UNREACHABLE),
    ("tcp", OSError("Multiple exceptions: [Errno 113] ..."), Reason.UNREACHABLE),
    ("tcp", asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Connection refused"), Reason.REFUSED),
    ("tcp", asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Name or service not known"), Reason.DNS),
    ("tcp", asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Connection timed out"), Reason.TIMEOUT),
    ("tcp", asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "denied"), Reason.UNREACHABLE),
    ("kex", TimeoutError(), Reason.TIMEOUT),
    ("kex", asyncssh.ConnectionLost("Connection lost"), Reason.RESET),
    ("kex", asyncssh.KeyExchangeFailed("No matching key exchange algorithm found"), Reason.NOT_SSH),
    ("kex", asyncssh.MACError("MAC verification failed"), Reason.NOT_SSH),
    ("kex", asyncssh.HostKeyNotVerifiable("Host key is not trusted"), Reason.HOST_KEY_CHANGED),
    ("kex", PacketDecodeError("Incomplete packet"), Reason.NOT_SSH),
    ("kex", asyncssh.DisconnectError(asyncssh.DISC_TOO_MANY_CONNECTIONS, "Too many connections"), Reason.BUSY),
    ("auth", TimeoutError(), Reason.TIMEOUT),
    ("auth", asyncssh.PermissionDenied("Permission denied"), Reason.AUTH_FAILED),
    ("auth", asyncssh.ProtocolError("Too many authentication failures"), Reason.AUTH_FAILED),
    ("auth", asyncssh.IllegalUserName("no such user"), Reason.AUTH_FAILED),
    ("auth", asyncssh.ConnectionLost("Connection lost"), Reason.RESET),
    ("auth", asyncssh.DisconnectError(asyncssh.DISC_BY_APPLICATION, "going down"), Reason.RESET),
]

BEFORE_THE_BANNER: list[tuple[str, Exception, Reason]] = [
    ("", TimeoutError(), Reason.TIMEOUT),
    ("", asyncssh.ConnectionLost("Connection lost"), Reason.BUSY),
    ("", ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), Reason.RESET),
    ("Exceeded MaxStartups", asyncssh.ConnectionLost("Connection lost"), Reason.BUSY),
    ("Exceeded MaxStartups", ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), Reason.BUSY),
    ("Not allowed at this time", asyncssh.ConnectionLost("Connection lost"), Reason.BUSY),
    ("HTTP/1.1 400 Bad Request", asyncssh.ConnectionLost("Connection lost"), Reason.NOT_SSH),
    ("220 ftp ready", TimeoutError(), Reason.NOT_SSH),
    ("SSH-1.5-old", asyncssh.ProtocolNotSupported("Unsupported SSH version"), Reason.NOT_SSH),
    ("", asyncssh.ProtocolError("Banner line too long"), Reason.NOT_SSH),
]

IN_SESSION: list[tuple[Exception, Reason]] = [
    (asyncssh.SFTPNoSuchFile("No such file"), Reason.NO_SUCH_PATH),
    (asyncssh.SFTPPermissionDenied("Permission denied"), Reason.PERMISSION_DENIED),
    (asyncssh.SFTPFailure("Failure"), Reason.NO_CAPACITY),
    (asyncssh.SFTPConnectionLost("Connection closed"), Reason.RESET),
    (asyncssh.SFTPNoConnection("Connection not open"), Reason.RESET),
    (asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed"), Reason.BUSY),
    (asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "SSH connection closed"), Reason.RESET),
    (asyncssh.ConnectionLost("Connection lost"), Reason.RESET),
    (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), Reason.RESET),
    (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), Reason.RESET),
    (TimeoutError(), Reason.HUNG),
    (PacketDecodeError("Incomplete packet"), Reason.RESET),
    (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), Reason.NO_SUCH_PATH),
    (Unsupported("no df"), Reason.NO_COMMAND),
    (NotMounted("/zs/1"), Reason.NOT_MOUNTED),
]


@rows(("phase", "error", "reason"), AT_LOGIN)
def test_a_failure_to_log_in_is_classified(phase: Phase, error: Exception, reason: Reason) -> None:
    assert classify(error, TARGET, phase)[0] is reason


@rows(("greeting", "error", "reason"), BEFORE_THE_BANNER)
def test_text_in_place_of_a_banner_is_classified(greeting: str, error: Exception, reason: Reason) -> None:
    assert classify(error, TARGET, "kex", greeting)[0] is reason


@rows(("error", "reason"), IN_SESSION)
@rows("phase", ["channel", "command"])
def test_a_failure_after_the_login_is_classified(phase: Phase, error: Exception, reason: Reason) -> None:
    assert classify(error, TARGET, phase)[0] is reason


@rows("phase", ["resolve", "tcp", "kex", "auth", "channel", "command"])
def test_a_timeout_without_words_has_a_message(phase: Phase) -> None:
    _, message = classify(TimeoutError(), TARGET, phase)
    assert len(message) > len("imagestore-1:22: ") + 10


@rows("phase", ["resolve", "tcp", "kex", "auth", "channel", "command"])
@rows("error", [TypeError("a bug"), AttributeError("a bug"), KeyError("a bug")])
def test_a_mistake_of_our_own_is_raised(phase: Phase, error: Exception) -> None:
    with pytest.raises(type(error)):
        classify(error, TARGET, phase)


def test_a_message_has_an_ipv6_address_in_brackets() -> None:
    target = replace(TARGET, hostname="::1", port=2222)
    assert classify(ConnectionRefusedError(), target, "tcp")[1].startswith("[::1]:2222: ")


@rows("what_is_ambiguous", [asyncssh.ConnectionLost("lost"), ConnectionResetError()])
def test_an_ambiguous_failure_says_so(what_is_ambiguous: Exception) -> None:
    _, message = classify(what_is_ambiguous, TARGET, "kex", "")
    assert "MaxStartups" in message
    assert "reset" in message


def test_no_message_holds_the_password() -> None:
    everything = [(phase, error) for phase, error, _ in AT_LOGIN] + [("command", error) for error, _ in IN_SESSION]
    assert not [phase for phase, error in everything if "secret" in classify(error, TARGET, phase)[1]]
    assert "secret" not in repr(TARGET)


@rows("reason", Reason)
def test_every_reason_has_advice_of_one_sentence(reason: Reason) -> None:
    assert reason.advice.endswith(".")
    assert ". " not in reason.advice


def test_an_excerpt_is_one_printable_line() -> None:
    assert excerpt("\x1b[31mtwo\r\nlines\t\x00") == "[31mtwo lines"
    assert len(excerpt("x" * 1000)) == 120
