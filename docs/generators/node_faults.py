"""Write the reference of faults into docs/node-faults.md, from their declarations: `make docs`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from imagestore_sim.faults import NODE_FAULTS, Layer, NodeFault, When

PAGE = Path(__file__).parents[1] / "node-faults.md"
BEGIN = "<!-- the reference, written by docs/generators/node_faults.py -->\n"
TITLES = {
    Layer.CONNECTION: "The connection",
    Layer.ANSWER: "The answer",
    Layer.JOB: "The job",
    Layer.IDENTITY: "Sessions and access keys",
    Layer.NODE: "The node",
    Layer.HOOKS: "Web hooks",
}
EVERYWHERE = ("when", "count", "for")
"""Parameters that every kind has."""


def reference() -> str:
    """Return the parameters that all kinds have, a table of the kinds, and then a section for each."""
    lines = [*_selection(), *_kinds()]
    for layer, title in TITLES.items():
        lines += [f"## {title}", ""]
        for kind in NODE_FAULTS.values():
            if kind.layer is layer:
                lines += _section(kind)
    return "\n".join(lines)


def _selection() -> Iterator[str]:
    yield from ("## Members of `when`", "", "| member | |", "| --- | --- |")
    for name, field in When.model_fields.items():
        yield f"| `{field.alias or name}` | {field.description} |"
    yield ""


def _kinds() -> Iterator[str]:
    yield from ("## All kinds", "", "| kind | layer | counts | |", "| --- | --- | --- | --- |")
    layers = list(TITLES)
    for kind in sorted(NODE_FAULTS.values(), key=lambda kind: layers.index(kind.layer)):
        first, _, _ = kind.description().partition(". ")
        yield f"| [`{kind.kind}`](#{kind.kind}) | {kind.layer} | {kind.meets} | {first.rstrip('.')} |"
    yield ""


def _section(kind: type[NodeFault]) -> Iterator[str]:
    yield from (f"### `{kind.kind}`", "", kind.description(), "")
    own = [one for one in kind.parameters() if one[0] not in EVERYWHERE]
    if own:
        yield from ("| parameter | default | |", "| --- | --- | --- |")
        for name, default, text in own:
            shown = default if default in ("required", "unset", "none") else f"`{default}`"
            yield f"| `{name}` | {shown} | {text} |"
        yield ""
    yield from (f"Healed: {kind.heals}", "")
    yield from ("```json", json.dumps({"kind": kind.kind, **kind.example}), "```", "")


def page() -> str:
    """Return the page with its reference up to date."""
    head, _, _ = PAGE.read_text().partition(BEGIN)
    return head + BEGIN + "\n" + reference()
