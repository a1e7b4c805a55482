"""Write the fidelity page: the APIs, the leniencies, and the recorded answers that differ by choice.

`python -m imagestore_sim.parity.fidelity > docs/fidelity.md` writes it.
"""

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

What a node forgives though ZStack refuses it, and the clients that need it; `--strict` forgives nothing. The recorded
answers are compared with a strict node.

| Name | What is forgiven, and for whom |
|---|---|"""
ANSWERS = """\
## Recorded answers that differ

{compared} answers of ZStack 5.2.1 (its open half) are kept in `simulator/imagestore_sim/parity/corpus`, and compared
with those of a strict node in every run of the tests; `imagestore-sim compare` sends the same calls to a node of yours
([how](compare.md)). These differ by choice, {chosen} in number. What is not mended yet stands in `open.txt` beside
them. ZStack's answers to the calls 465, 580, 1766, 1771, 1772, 1774 and 1790 follow from a job that an earlier run
of the recorder had left there: the tests make such a job first, and a node without it makes a zone more.

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
            said = text.value.value if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) else ""
            yield f"| `{declared.target.id}` | {' '.join(str(said).split())} |"


if __name__ == "__main__":
    print(page(), end="")
