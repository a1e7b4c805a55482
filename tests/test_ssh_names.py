"""Names and passwords are prepared as asyncssh prepares them."""

from __future__ import annotations

import asyncssh
import pytest
from asyncssh import auth
from asyncssh.saslprep import SASLPrepError, saslprep

from imagestore_sim.hosts import Credentials, SimulatedHost
from imagestore_sim.ssh_names import prepared


def outcome(prepare: object, text: str) -> str | type[SASLPrepError]:
    assert callable(prepare)
    try:
        return str(prepare(text))
    except SASLPrepError:
        return SASLPrepError


def test_each_character_is_prepared_as_asyncssh_does() -> None:
    texts = [f"a{chr(one)}b" for one in (*range(0x250), 0x5D0, 0x2168, 0xFB01, 0x3000)]
    assert [outcome(prepared, text) for text in texts] == [outcome(saslprep, text) for text in texts]


@pytest.mark.parametrize("text", ["", "root", "pass word", "Größe", "I\u00adX", "\u2168"])
def test_whole_names_are_prepared_as_asyncssh_does(text: str) -> None:
    assert prepared(text) == saslprep(text)


async def test_hosts_take_names_and_passwords_in_any_script() -> None:
    for username, password in (("root", "pass word"), ("größe", "Größe 1")):
        async with SimulatedHost("h", credentials=Credentials(username, password)) as host:
            options = {"known_hosts": None, "config": None, "agent_path": None, "client_keys": None}
            async with asyncssh.connect(*host.address, username=username, password=password, **options) as connection:
                assert (await connection.run("id -un")).stdout == f"{username}\n"
    assert auth.saslprep is prepared  # type: ignore[attr-defined]
