"""Fixtures for the whole tree: a real OpenSSH server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sshd import OpenSshServer, find_sshd

StartSshd = Callable[..., OpenSshServer]


@pytest.fixture
def start_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSshd]:
    """Starts OpenSSH servers: give it what OpenSshServer takes after the directory. They stop with the test."""
    if find_sshd() is None:
        pytest.skip("needs OpenSSH's sshd (Debian: openssh-server)")
    servers: list[OpenSshServer] = []

    def start(*lines: str, sftp: bool = True) -> OpenSshServer:
        server = OpenSshServer(tmp_path_factory.mktemp("sshd"), *lines, sftp=sftp)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def sshd(start_sshd: StartSshd) -> OpenSshServer:
    """A running OpenSSH server with SFTP."""
    return start_sshd()
