"""The fidelity page's tables of APIs, made from their declarations; `parity.fidelity` writes the page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from enum import StrEnum

from imagestore_sim.api import absent_resource_deletions, all_handlers, not_emulated
from imagestore_sim.query import Inventory
from imagestore_sim.rest.messages import Message
from imagestore_sim.rest.parameters import Api


class State(StrEnum):
    """How closely an API follows ZStack."""

    SAME = "same"
    DEVIATES = "deviates"
    EMPTY = "empty"
    """A query of resources that a lab has none of, or the deletion of one."""
    NOT_EMULATED = "not emulated"


HEAD = """\
# Fidelity

How closely each API follows ZStack; `make docs` writes this page. It lists every API that ZStack's public Java SDK
(5.2.1) or the catalogue of its MCP server (0.1.7) names; `simulator/imagestore_sim/api/zstack_apis.json` has their
paths and sources. An API is

- **same**: it does what ZStack does, as far as a client can see;
- **deviates**: it does what ZStack does, except for what the note says;
- **empty**: a query of resources that a lab has none of, such as hosts and virtual machines: it answers 200 and an
  empty list; or a deletion of one, which has nothing to do;
- **not emulated**: it answers every call that has a valid session with `SYS.1014` and the details
  `not emulated: <API class>, see docs/fidelity.md`. Its parameters are not read.

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
  url. Nothing else is ever written to a host, but for the files of images and of their exports; on real hosts those
  need `--write-images`.
- Expunging an image, deleting an export and cleaning up trash give the bytes back at once. ReclaimSpaceFromImageStore
  frees what a host did not let go then; which bytes ZStack's closed manager keeps for it is not known.
- A url that is a file fails. A file system that is read-only, full or out of inodes does not fail.
- A ping that finds another file system at the url than the last connect looks for `registry` and `export`, and fails
  without either: the disk is not mounted. ZStack looks for them only when it reconnects.
- If an sshd accepts no more logins, the probe tries three more times within about a second before it fails.
- Host keys are ignored, as by ZStack, unless `--host-keys tofu` or `strict` is given.
- An `X-Job-UUID` that is no segment of a path, such as one with a slash, is refused as one of another length is. ZStack
  accepts it, and answers every poll of that job 404 or 400.
- A body may be packed by gzip or deflate; ZStack's servlet container would read the packed bytes. Another
  `Content-Encoding` is 415.
- A bootstrap record with `tracked: false` stays as written: it is never probed, and a reconnect does not change it.

## The APIs
"""
COLUMNS = ("API", "Request", "State", "Note", "Source")
EMPTY = """
## Empty

Queries and deletions of resources that a lab has none of. Queries of ZStack's open half check the names of fields and
the syntax of conditions, as ZStack does (observed 4); for those of the paid editions, whose fields are not public, any
name will do.

| Package | APIs |
|---|---|"""
LEFT_OUT = """
## Not emulated

| Package | APIs |
|---|---|"""


def page() -> str:
    """Return the first half of the page, as Markdown."""
    kinds: dict[State, list[Api]] = {state: [] for state in State}
    for message, handler in all_handlers().by_message.items():
        kinds[state_of(message, handler)].append(message.api)
    works, empty, refused = [*kinds[State.SAME], *kinds[State.DEVIATES]], kinds[State.EMPTY], kinds[State.NOT_EMULATED]
    counts = (
        f"Of {len(works) + len(empty) + len(refused)} APIs, {len(works)} work, {len(empty)} are about resources that a"
        f" lab has none of, and {len(refused)} are not emulated."
    )
    table = _table(sorted(works, key=_by_request))
    return "\n".join([HEAD, counts, "", *table, EMPTY, *_by_package(empty), LEFT_OUT, *_by_package(refused), ""])


def state_of(message: type[Message], handler: object) -> State:
    """Return how closely an API follows ZStack, with this handler."""
    if handler is not_emulated.refuse:
        return State.NOT_EMULATED
    inventory = getattr(message, "inventory", None)
    nothing_there = (not_emulated.answer_none, absent_resource_deletions.delete_nothing)
    if handler in nothing_there or (isinstance(inventory, Inventory) and inventory.is_absent):
        return State.EMPTY
    return State.DEVIATES if message.api.deviation else State.SAME


def _by_request(api: Api) -> tuple[str, str, str]:
    return api.paths[0], api.method, api.name


def _table(apis: list[Api]) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'---|' * len(COLUMNS)}"
    for api in apis:
        cells = (f"`{api.name}`", _request(api), "deviates" if api.deviation else "same", api.deviation, api.source)
        yield f"| {' | '.join(cells)} |"


def _by_package(apis: list[Api]) -> Iterator[str]:
    packages: dict[str, list[str]] = defaultdict(list)
    for api in apis:
        packages[api.java_class.rpartition(".")[0]].append(api.name.removeprefix("API").removesuffix("Msg"))
    for package, names in sorted(packages.items()):
        yield f"| {f'`{package}`' if package else 'not known'} | {', '.join(sorted(names))} |"


def _request(api: Api) -> str:
    action = f" `{api.body_key}`" if api.method == "PUT" else ""
    return "<br>".join(f"`{api.method} {path}`{action}" for path in api.paths)
