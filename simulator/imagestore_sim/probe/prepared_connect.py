"""asyncssh's `connect` with options that are prepared once: it prepares them for each login, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import copy

import asyncssh

from imagestore_sim.probe.bounded_tunnel import BoundedTunnel
from imagestore_sim.ssh_names import prepared as prepared_name


async def connect(
    prepared: asyncssh.SSHClientConnectionOptions,
    host: str,
    port: int,
    client: asyncssh.SSHClient,
    tunnel: BoundedTunnel,
    *,
    username: str,
    preferred_auth: Sequence[str],
    server_host_key_algs: Sequence[str] | None = None,
) -> asyncssh.SSHClientConnection:
    """Return a connection that is logged in, with `prepared` options and what this login has of its own.

    The options must come from no configuration file: what that says of a host is not looked up. Raise what asyncssh's
    `connect` raises.
    """
    loop = asyncio.get_running_loop()
    options = copy(prepared)
    options.host = options.orig_host = host
    options.port = port
    options.username = prepared_name(username)
    options.preferred_auth = preferred_auth
    options.protocol_factory = lambda: client
    if prepared.client_keys:  # a login notes the algorithm in them that the server takes for its signatures
        options.client_keys = [copy(pair) for pair in prepared.client_keys]
    if server_host_key_algs is not None:
        options.server_host_key_algs = server_host_key_algs
    options.waiter = logged_in = loop.create_future()
    try:
        _, ssh = await tunnel.create_connection(
            lambda: asyncssh.SSHClientConnection(loop, options, wait="auth"), host, port
        )
    except BaseException:
        logged_in.cancel()
        raise
    ssh.set_extra_info(host=host, port=port)
    try:
        await logged_in
    except BaseException:
        ssh.abort()
        await ssh.wait_closed()
        raise
    return ssh
