"""Writes the reference of fault kinds into docs/faults.md, from the registries: `make faults`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from imagestore_sim.containers.faults import IMPLEMENTATIONS, ON_MEMORY_DISKS
from imagestore_sim.faults import FAULTS, Fault, Layer

PAGE = Path(__file__).with_name("faults.md")
BEGIN = "<!-- the reference, written by docs/write_faults.py -->\n"
TITLES = {
    Layer.NETWORK: "The network",
    Layer.SSH: "sshd",
    Layer.SESSION: "Sessions",
    Layer.DISK: "The disk",
}


def reference() -> str:
    """Every kind of fault: what it does, its parameters, how it heals, and by which means it is on containers."""
    lines: list[str] = []
    for layer, title in TITLES.items():
        lines += [f"## {title}", ""]
        for kind in FAULTS.values():
            if kind.layer is layer:
                lines += _section(kind)
    return "\n".join(lines)


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
    found = IMPLEMENTATIONS[kind.kind]
    yield f"In containers: {found.means}." if found.apply else f"Not in containers: {found.means}."
    yield ""
    other = ON_MEMORY_DISKS.get(kind.kind)
    if other is not None and other.means != found.means:
        yield f"On a disk in memory: {other.means}."
        yield ""


def written() -> str:
    """The page, with the reference as it has to be."""
    head, _, _ = PAGE.read_text().partition(BEGIN)
    return head + BEGIN + "\n" + reference()


if __name__ == "__main__":
    PAGE.write_text(written())
