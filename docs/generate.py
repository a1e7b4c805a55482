"""Write the generated documents.

`make docs` writes the quick ones; `make docs PAGES="stories picture"` writes those named. With --check nothing is
written: stale ones are listed, with exit status 1. To add one: a row in GENERATED.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

DOCS = Path(__file__).parent
TESTS = DOCS.parent / "tests"
Content = str | bytes


@dataclass(frozen=True, slots=True)
class Generated:
    """A document, or a folder of them, and the function that returns its text."""

    target: str
    """Below docs/."""
    source: str
    """`module:function`; it returns the content of a file, or the contents of a folder's files by name."""
    quick: bool = True
    """Whether it takes no more than seconds."""

    def contents(self) -> Mapping[Path, bytes]:
        """Return what each file of the target must hold."""
        module, _, function = self.source.partition(":")
        made: Content | Mapping[str, Content] = getattr(import_module(module), function)()
        target = DOCS / self.target
        files = {target / name: one for name, one in made.items()} if isinstance(made, Mapping) else {target: made}
        return {file: one if isinstance(one, bytes) else one.encode() for file, one in files.items()}

    def stale(self) -> list[Path]:
        """Return the files that differ from what they must hold, and those of a folder that are too many."""
        contents = self.contents()
        here = set(target.iterdir()) if (target := DOCS / self.target).is_dir() else set()
        changed = [file for file, content in contents.items() if not file.exists() or file.read_bytes() != content]
        return sorted([*changed, *(here - contents.keys())])

    def write(self) -> None:
        """Write every file of the target, and remove those of a folder that are too many."""
        contents = self.contents()
        for file in set(target.iterdir()) - contents.keys() if (target := DOCS / self.target).is_dir() else ():
            file.unlink()
        for file, content in contents.items():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)


GENERATED: Mapping[str, Generated] = {
    "commands": Generated("commands.md", "generators.commands:page"),
    "failures": Generated("failures.md", "failure_catalogue:render"),
    "faults": Generated("faults.md", "generators.faults:page"),
    "fidelity": Generated("fidelity.md", "generators.fidelity:page"),
    "help-pages": Generated("../simulator/imagestore_sim/cli/help_pages", "generators.commands:help_pages"),
    "life-cycle": Generated("life-cycle.md", "life_cycle_facts:render"),
    "metrics": Generated("metrics.md", "generators.metrics:page"),
    "node-faults": Generated("node-faults.md", "generators.node_faults:page"),
    "scenarios": Generated("scenarios.md", "generators.scenarios:page"),
    "newest-tables": Generated(
        "../simulator/imagestore_sim/database/migrations/newest.sql",
        "imagestore_sim.database.migrations:migrated_tables",
    ),
    "schemas": Generated("schemas", "generators.schemas:schemas"),
    "api-examples": Generated(
        "../simulator/imagestore_sim/openapi/examples.json", "generators.api_examples:texts", quick=False
    ),
    "console-picture": Generated("console.png", "generators.console_picture:picture", quick=False),
    "lab-examples": Generated(
        "../simulator/imagestore_sim/lab_api/examples.json", "generators.lab_examples:texts", quick=False
    ),
    "picture": Generated("lab.svg", "generators.lab_picture:picture", quick=False),
    "same-results": Generated("same-results.md", "generators.same_results:page", quick=False),
    "stories": Generated("stories", "generators.scenarios:pictures", quick=False),
}


def main() -> int:
    """Write or check the documents that are named, the quick ones without a name; return the exit status."""
    parser = argparse.ArgumentParser(description="Write the generated documents.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(GENERATED))
    parser.add_argument("--check", action="store_true", help="write nothing; list what is stale")
    given = parser.parse_args()
    if unknown := set(given.names) - GENERATED.keys():
        parser.error(f"there is no document {', '.join(sorted(unknown))}; there are {', '.join(GENERATED)}")
    # The tables that tests play are documents, too.
    sys.path += [str(TESTS), *(str(one) for one in sorted(TESTS.iterdir()) if one.is_dir())]
    chosen = [GENERATED[name] for name in given.names] or [one for one in GENERATED.values() if one.quick]
    if given.check:
        stale = [file for one in chosen for file in one.stale()]
        print(*(f"{file.relative_to(DOCS.parent)} is stale" for file in stale), sep="\n", end="\n" * bool(stale))
        return int(bool(stale))
    for one in chosen:
        one.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
