"""Write the reference of fault kinds into docs/faults.md, from their declarations: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from imagestore_sim.containers.faults import IMPLEMENTATIONS, ON_MEMORY_DISKS, FaultImplementation
from imagestore_sim.faults import FAULTS, Effect, Fault, Layer, Noticed, ProbeAnswer

PAGE = Path(__file__).parents[1] / "faults.md"
BEGIN = "<!-- the reference, written by docs/generators/faults.py -->\n"
TITLES = {
    Layer.NETWORK: "The network",
    Layer.SSH: "sshd",
    Layer.SESSION: "Sessions",
    Layer.DISK: "The disk",
    Layer.AGENT: "The agent",
}
EFFECTS = {Effect.LASTING: "until healed", Effect.INSTANT: "an instant", Effect.NEW_STATE: "as a new state of the disk"}
ANSWERS = {ProbeAnswer.PROMPT: "at once", ProbeAnswer.DENIED: "after PAM's delay", ProbeAnswer.SILENT: "late or never"}
NOTICED = {Noticed.AT_ONCE: "at once", Noticed.AT_LOGIN: "at the next login"}


def container_form(kind: str) -> FaultImplementation:
    """Return what a kind is on containers. Raise LookupError for one that is neither implemented nor refused there."""
    if kind not in IMPLEMENTATIONS:
        raise LookupError(f"fault {kind}: implement or refuse it in imagestore_sim/containers/faults/")
    return IMPLEMENTATIONS[kind]


def reference() -> str:
    """Return a table of the traits of all kinds, and then a section for each."""
    lines = list(_traits())
    for layer, title in TITLES.items():
        lines += [f"## {title}", ""]
        for kind in FAULTS.values():
            if kind.layer is layer:
                lines += _section(kind)
    return "\n".join(lines)


def _traits() -> Iterator[str]:
    yield "## All kinds and their traits"
    yield ""
    yield "| kind | layer | lasts | a probe gets its answer | an open connection meets it | reasons | on containers |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    layers = list(TITLES)
    for kind in sorted(FAULTS.values(), key=lambda kind: layers.index(kind.layer)):
        traits = kind.traits
        reasons = ", ".join(f"`{reason}`" for reason in sorted(traits.causes)) or "-"
        possible = (
            "yes"
            if container_form(kind.kind).apply
            else "on a disk in memory"
            if kind.kind in ON_MEMORY_DISKS
            else "no"
        )
        cells = [EFFECTS[traits.effect], ANSWERS[traits.answer], NOTICED[traits.noticed], reasons, possible]
        yield f"| [`{kind.kind}`](#{kind.kind}) | {kind.layer} | {' | '.join(cells)} |"
    yield ""


def _section(kind: type[Fault]) -> Iterator[str]:
    yield f"### `{kind.kind}`"
    yield ""
    yield kind.description()
    yield ""
    own = [one for one in kind.parameters() if one[0] != "for"]
    if own:
        yield "| parameter | default | |"
        yield "| --- | --- | --- |"
        for name, default, text in own:
            shown = default if default in ("required", "unset", "none") else f"`{default}`"
            yield f"| `{name}` | {shown} | {text} |"
        yield ""
    yield f"Healed: {kind.heals}"
    yield ""
    found = container_form(kind.kind)
    yield f"In containers: {found.means}." if found.apply else f"Not in containers: {found.means}."
    yield ""
    other = ON_MEMORY_DISKS.get(kind.kind)
    if other is not None and other.means != found.means:
        yield f"On a disk in memory: {other.means}."
        yield ""


def page() -> str:
    """Return the page with its reference up to date."""
    head, _, _ = PAGE.read_text().partition(BEGIN)
    return head + BEGIN + "\n" + reference()
