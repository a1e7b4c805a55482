"""The fidelity page's tables of APIs, made from their declarations; `parity.fidelity` writes the page."""

from __future__ import annotations

from collections.abc import Iterator

from imagestore_sim.api import all_handlers, not_emulated
from imagestore_sim.rest.parameters import Api

HEAD = """\
# Fidelity

How closely each API follows ZStack; `make docs` writes this page. It lists every API of ZStack's public SDK that
touches backup storage. An API is

- **same**: it does what ZStack does, as far as a client can see;
- **deviates**: it does what ZStack does, except for what the note says;
- **not emulated**: it answers every call with `SYS.1014` and the details
  `not emulated: <API class>, see docs/fidelity.md`.

The legacy API under `/zstack/api` serves the same APIs, under the Java classes in the column *API*.

*Source* names where the facts come from: sections of the reference pages [domain](reference/domain.md),
[wire-protocol](reference/wire-protocol.md), [query-semantics](reference/query-semantics.md),
[clients](reference/clients.md) and [observed](reference/observed.md), or ZStack itself. ImageStore's manager is closed
source: what this page says about it follows its SDK, its texts and its open Sftp sibling.

## Chosen for the whole

All APIs differ from ZStack's in these points, by choice:

- A `Content-Type` is sent, and no session cookie; a body is always read as UTF-8, and every text is English.
- What widely used clients send is accepted, unless a node runs with `--strict`: see *Leniencies*.
- An SSH probe of the url replaces the agent of a storage: the storage is connected if the host accepts the login and
  the probe can read the url's capacity. Wrong credentials show at the next connect, and at the next ping that has to
  log in.
- A ping of a Connected storage also writes its capacity. A Disconnected storage keeps its last known capacity until a
  connect measures it.
- One failed ping makes a storage Disconnected: `ping.maxFailure` is 1 by default; in ZStack and on a `--strict` node
  it is 3.
- The first tick comes after `ping.interval` and a jitter of 0 to 29 seconds, which is never more than the interval.
- Pings keep their connection for the next one (`--probe-connection warm`); each connect logs in again.
- Adding an ImageStore creates its url with `registry` and `export` in it, and connecting an Sftp storage creates its
  url; nothing else is ever written to a host.
- A url that is a file fails. A file system that is read-only, full or out of inodes does not fail.
- A ping that finds another file system at the url than the last connect looks for `registry` and `export`, and fails
  without either: the disk is not mounted. ZStack looks for them only when it reconnects.
- If an sshd accepts no more logins, the probe tries three more times within about a second before it fails.
- Host keys are ignored, as by ZStack, unless `--host-keys tofu` or `strict` is given.
- A bootstrap record with `tracked: false` stays as written: it is never probed, and a reconnect does not change it.

## The APIs
"""
COLUMNS = ("API", "Request", "State", "Note", "Source")


def page() -> str:
    """Return the first half of the page, as Markdown."""
    apis = [(message.api, handler is not_emulated.refuse) for message, handler in all_handlers().by_message.items()]
    emulated = sorted((api for api, left_out in apis if not left_out), key=_by_request)
    left_out = sorted((api for api, left_out in apis if left_out), key=_by_request)
    counts = f"{len(emulated)} APIs are emulated, {len(left_out)} are not."
    lines = [counts, "", *_table(emulated), "", "## Not emulated", "", *_table(left_out, absent=True), ""]
    return "\n".join([HEAD, *lines])


def _by_request(api: Api) -> tuple[str, str, str]:
    return api.paths[0], api.method, api.name


def _table(apis: list[Api], *, absent: bool = False) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'---|' * len(COLUMNS)}"
    for api in apis:
        state = "not emulated" if absent else "deviates" if api.deviation else "same"
        cells = (f"`{api.name}`", _request(api), state, api.deviation, api.source)
        yield f"| {' | '.join(cells)} |"


def _request(api: Api) -> str:
    action = f" `{api.body_key}`" if api.method == "PUT" else ""
    return "<br>".join(f"`{api.method} {path}`{action}" for path in api.paths)
