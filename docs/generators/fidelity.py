"""Write docs/fidelity.md: the APIs, the leniencies, and the recorded answers that differ by choice."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator

from imagestore_sim.api import fidelity
from imagestore_sim.parity.corpus import CORPUS, FILES, compared, read_cases, read_deviations
from imagestore_sim.rest.leniency import Leniency

LENIENCIES = """\
## Leniencies

What a node accepts though ZStack refuses it, and the clients that need this. `--strict` accepts nothing of it. The
recorded answers are compared with a strict node.

| Name | What is accepted, and for which clients |
|---|---|"""
ANSWERS = """\
## Recorded answers that differ

`simulator/imagestore_sim/parity/corpus` holds {compared} answers of ZStack 5.2.1 (its open-source part). The
tests compare them with those of a strict node, and `imagestore-sim compare` sends the same calls to your own
node ([how](compare.md)). The {chosen} answers below differ by choice; `open.txt` in that folder lists those
that differ and are not fixed yet. ZStack's answers to the calls 465, 580, 1766, 1771, 1772, 1774 and 1790
depend on a job that an earlier run of the recorder had left there. The tests create such a job first; a node
without it creates one more zone.

| Calls | Why | What a client sees instead |
|---|---|---|"""


def page() -> str:
    """Return the whole page, in Markdown."""
    chosen = read_deviations()
    known = sum(len(compared(read_cases(CORPUS / file))) for file in FILES)
    head = ANSWERS.format(compared=known, chosen=sum(len(one.calls) for one in chosen))
    rows = (f"| {', '.join(map(str, sorted(one.calls)))} | {one.reason} | {one.status} |" for one in chosen)
    return "\n".join([fidelity.page(), LENIENCIES, *_leniencies(), "", head, *rows, ""])


def _leniencies() -> Iterator[str]:
    """Yield a row for each leniency, with the docstring of its field."""
    [declaration] = ast.parse(textwrap.dedent(inspect.getsource(Leniency))).body
    assert isinstance(declaration, ast.ClassDef)
    for declared, text in zip(declaration.body, declaration.body[1:], strict=False):
        if isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name):
            docstring = text.value.value if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) else ""
            yield f"| `{declared.target.id}` | {' '.join(str(docstring).split())} |"
