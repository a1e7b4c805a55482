"""Every citation of a fact leads to a heading of docs/reference, every link to a heading that is there."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rows import rows

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
CORPUS = ROOT / "simulator" / "imagestore_sim" / "parity" / "corpus"
FOLDERS = ("simulator", "tests", "docs", "examples", "scenarios", "benchmarks", "docker", "clients", "deploy")
SUFFIXES = {".py", ".md", ".yaml", ".yml"}
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("examples/*.md"))]
HEADING = re.compile(r"^#{2,4} (\d+(?:\.\d+)*) ", re.MULTILINE)
GAP = r"(?:[ \t]|\n[ \t]*(?:#|//)?)+"
"""Blanks, or the end of a line and what begins the next one, of a comment too."""
NUMBER = r"\d+(?:\.\d+)*"
JOINT = rf"(?:,{GAP}(?:and{GAP})?|{GAP}and{GAP}|{GAP}to{GAP}|-)"
NUMBERS = rf"{NUMBER}(?:{JOINT}{NUMBER}(?![\w.]*\w))*"
IN_BRACKETS = re.compile(rf"\(([a-z][a-z-]*){GAP}(\d+\.\d+|\d)(?=[,;)-]|{GAP}(?:to|and){GAP})")
"""A citation by its form, whether or not there is such a page: `(domain 3.5)`."""
RETIRED = re.compile(rf"\b(design){GAP}(\d+)")
"""Citations of what is no page any more."""
NO_PAGES = {
    "call",
    "calls",
    "exit",
    "from",
    "issue",
    "line",
    "section",
    "sections",
    "signal",
    "since",
    "tier",
    "version",
}
"""Words before a number in brackets that cite none of these pages."""
BARE = re.compile(rf'^[ \t]*"""({NUMBERS})(?=[:;"]|,{GAP}[a-z])', re.MULTILINE)
"""A test's docstring that begins with sections of the page that its module cites first."""
CALLS = re.compile(rf"\b[Cc]alls?{GAP}(\d+(?:{JOINT}\d+)*)")
Citation = tuple[str, str]
"""A page and a section of it."""


def sections() -> dict[str, set[str]]:
    """Return the numbers of the headings of each page of docs/reference."""
    pages = sorted(REFERENCE.glob("*.md"))
    return {page.stem: set(HEADING.findall(page.read_text(encoding="utf-8"))) for page in pages}


SECTIONS = sections()


def files() -> list[Path]:
    """Return every file that may cite."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    kept = [path for path in found if not {"corpus", "stories", "node_modules"} & set(path.parts)]
    return sorted([*kept, *ROOT.glob("*.md"), ROOT / "pyproject.toml", ROOT / "Makefile"])


def citations(text: str) -> Iterator[tuple[int, Citation]]:
    """Yield each section that a text cites by its page's name, and where in the text."""
    for found in re.finditer(rf"(?<![\w/.-])({'|'.join(SECTIONS)})(?:{GAP})({NUMBERS})", text):
        for number in re.findall(NUMBER, found[2]):
            yield found.start(), (found[1], number)


def bare_citations(text: str) -> Iterator[tuple[int, Citation]]:
    """Yield the sections that docstrings of a test module begin with, of the page that the module cites first."""
    first = next(citations(text), None)
    for found in BARE.finditer(text) if first is not None else ():
        for number in re.findall(NUMBER, found[1]):
            yield found.start(), (first[1][0] if first else "", number)


def unresolved(text: str, *, is_test: bool = False) -> list[tuple[int, str]]:
    """Return the citations in a text that lead nowhere, each with its line."""
    found = [*citations(text), *(bare_citations(text) if is_test else ())]
    wrong = [(at, f"{page} {number}") for at, (page, number) in found if number not in SECTIONS[page]]
    others = [*IN_BRACKETS.finditer(text), *RETIRED.finditer(text)]
    known = {*SECTIONS, *NO_PAGES}
    wrong += [(match.start(1), f"{match[1]} {match[2]}") for match in others if match[1] not in known]
    return sorted({(text.count("\n", 0, at) + 1, what) for at, what in wrong})


def slugs(text: str) -> set[str]:
    """Return the fragments that lead to the headings of a Markdown text, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain).strip().lower().replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken_links(page: Path) -> list[str]:
    """Return the links of a document to files and headings that are not there."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(<?([^)\s>]+)>?\)", text):
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        if "://" in link or link.startswith("mailto:"):
            continue
        if not target.exists() or (
            fragment and target.suffix == ".md" and fragment not in slugs(target.read_text(encoding="utf-8"))
        ):
            broken.append(link)
    return broken


def test_every_citation_leads_to_a_heading() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} ({what})"
        for path in files()
        if path != Path(__file__)  # whose examples are wrong on purpose
        for line, what in unresolved(path.read_text(encoding="utf-8"), is_test=ROOT / "tests" in path.parents)
    ]
    assert wrong == []


def test_the_pages_are_cited() -> None:
    """Else the patterns above find nothing, and so nothing wrong."""
    cited = {page for path in files() for _, (page, _) in citations(path.read_text(encoding="utf-8"))}
    assert cited == set(SECTIONS) == {
        "clients", "domain", "management-nodes", "observed", "query-semantics", "wire-protocol",
    }  # fmt: skip


@rows(
    ("text", "expected"),
    [
        ("(domain 2.1, 3.6)", ["domain 2.1", "domain 3.6"]),
        ("(wire-protocol 5.2, clients 1.1, 4.2)", ["wire-protocol 5.2", "clients 1.1", "clients 4.2"]),
        ("(domain 1.4, 2.4, 4)", ["domain 1.4", "domain 2.4", "domain 4"]),
        ("wire-protocol 2.1 to 2.6, 7.3", ["wire-protocol 2.1", "wire-protocol 2.6", "wire-protocol 7.3"]),
        ("(wire-protocol\n    2.4-2.6)", ["wire-protocol 2.4", "wire-protocol 2.6"]),
        ("# by its clock (domain\n# 3.5)", ["domain 3.5"]),
        ("(clients 5, tier 4)", ["clients 5"]),
        ("observed 7 and 10.", ["observed 7", "observed 10"]),
        ("tests/clients 3, all.clients 4, subdomain 5", []),
    ],
)
def test_a_citation_is_read(text: str, expected: list[str]) -> None:
    assert [f"{page} {number}" for _, (page, number) in citations(text)] == expected


@rows(
    ("text", "wrong"),
    [
        ("(domain 3.5)", []),
        ("\n(domain 3.55)", [(2, "domain 3.55")]),
        ("(domain 1.4, 99)", [(1, "domain 99")]),
        ("(wire-protocol 2.1 to 2.9)", [(1, "wire-protocol 2.9")]),
        ("(design 4)", [(1, "design 4")]),
        ("(wire 5.2, 5.3)", [(1, "wire 5.2")]),
        ('"""design 4: what is forgiven."""', [(1, "design 4")]),
        ("(call 747), (tier 4)", []),
    ],
)
def test_a_citation_that_leads_nowhere_is_found(text: str, wrong: list[tuple[int, str]]) -> None:
    assert unresolved(text) == wrong


def test_a_docstring_that_begins_with_a_section_cites_the_module_s_page() -> None:
    text = '"""Logins (wire-protocol 2)."""\n    """2.4, 7.1: every member."""\n    """99.1"""\n    """3 hosts."""'
    assert unresolved(text, is_test=True) == [(3, "wire-protocol 99.1")]


@rows("page", DOCUMENTS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_to_its_heading(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_to_no_heading_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# The `first` one\n[a](#the-first-one) [b](#none) [c](gone.md) [d](page.md#the-first-one)\n")
    assert broken_links(page) == ["#none", "gone.md"]


def test_the_index_lists_every_document() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+)", index.read_text(encoding="utf-8"))
    }
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md") if "stories" not in page.parts}
    assert pages - linked == {index.resolve()}


def test_every_recorded_call_that_a_page_names_has_an_answer() -> None:
    records = [json.loads(line) for file in CORPUS.glob("*.jsonl") for line in file.read_text().splitlines()]
    answered = {record["id"] for record in records if "answers" in record or "life" in record}
    named = {
        (page.stem, int(number))
        for page in sorted(REFERENCE.glob("*.md"))
        for numbers in CALLS.findall(page.read_text(encoding="utf-8"))
        for number in re.findall(r"\d+", numbers)
    }
    assert len(named) > 100
    assert {(page, number) for page, number in named if number not in answered} == set()
