"""Less memory for a connection that is kept between probes: what only its login needed is dropped or shared."""

from __future__ import annotations

from typing import Any, cast

import asyncssh

from imagestore_sim.lean import LeanEvent, share_attributes, shared

_ALGORITHMS = {
    "_kex_algs": "kex_algs",
    "_enc_algs": "encryption_algs",
    "_mac_algs": "mac_algs",
    "_sig_algs": "signature_algs",
}
"""Attributes of a connection, and the options that they come from."""
_UNUSED = {"_server_sig_algs": frozenset(), "_preferred_auth": (), "_trusted_host_key_algs": ()}
"""Collections that asyncssh reads in a login alone, and an empty one in place of each."""
_RARE = ("_revoked_host_keys", "_x509_revoked_certs")
"""Sets that are nearly always empty."""
_NO_KEYS: frozenset[Any] = frozenset()


def become_idle(ssh: asyncssh.SSHClientConnection, options: asyncssh.SSHClientConnectionOptions) -> None:
    """Drop what only the login of a connection needed, and have it share `options` with the others."""
    inside = cast("Any", ssh)
    inside._options = options
    inside._client_kexinit = inside._server_kexinit = b""
    inside._extra, inside._server_host_key = {}, None  # names of ciphers and addresses, and the key that was checked
    inside._extensions_to_send.clear()
    for name, option in _ALGORITHMS.items():
        if getattr(inside, name) == (common := getattr(options, option)):
            setattr(inside, name, common)
    if inside._server_host_key_algs is not None:
        inside._server_host_key_algs = shared(tuple(inside._server_host_key_algs))
    for name, empty in _UNUSED.items():
        setattr(inside, name, empty)
    for name in _RARE:
        setattr(inside, name, getattr(inside, name) or _NO_KEYS)
    if not ssh.is_closed():
        inside._close_event = LeanEvent()
    share_attributes(ssh)


def share_channel(channel: asyncssh.SSHClientChannel[bytes]) -> None:
    """Do the same for the channel of a session that is kept."""
    if not channel.is_closing():
        cast("Any", channel)._close_event = LeanEvent()
    share_attributes(channel)
