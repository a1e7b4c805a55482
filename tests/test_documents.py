"""The README and docs/ name only what there is: files, modules, options, make targets, and calls of the lab's API."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imagestore_sim.scenario.format.steps import STEP_KINDS
from processes import program
from rows import rows

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "simulator" / "imagestore_sim"
COMMANDS: Any = program()
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*.md")),
    *sorted((ROOT / "clients").glob("*/README.md")),
    *sorted((ROOT / "deploy").glob("helm/*/README.md")),
]
PAGES_OF_USERS = [page for page in PAGES if page.name != "CHANGELOG.md"]
OF_OTHER_PROGRAMS = {
    "--build-arg", "--detach", "--env", "--force", "--init", "--no-healthcheck", "--platform", "--publish",
    "--push", "--read-only", "--rm", "--tag", "--user",  # Docker
    "--single-transaction",  # mariadb-dump
    "--quiet",  # pip
    "--build", "--force-recreate", "--no-deps", "--profile", "--rmi",  # Compose
    "--check",  # docs/generate.py
    "--cacert", "--connect-to", "--data-binary", "--data-urlencode",  # curl
    "--count", "--image-storage",  # Go CLI
    "--save-dev", "--test",  # npm, Node
    "--path",  # openapi-python-client
    "--file",  # Maven, Docker
    "--delete-emptydir-data", "--from-literal", "--reuse-values", "--set", "--values",  # kubectl, Helm
    "--home-dir", "--now", "--shell", "--system",  # useradd, systemctl
}  # fmt: skip
"""Options that the documents name and other programs have."""
OF_KITS = {"IMAGESTORE_SIM_COMMAND"}
"""Variables that the kits in `clients/` read."""


def named(pattern: str, *pages: Path) -> set[str]:
    """Return what the first group of `pattern` finds in the documents."""
    texts = [page.read_text(encoding="utf-8") for page in pages or PAGES]
    return {found for text in texts for found in re.findall(pattern, text, re.MULTILINE)}


def options(command: Any) -> Iterator[str]:
    """Yield every option of a command and of those below it."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for one in getattr(command, "commands", {}).values():
        yield from options(one)


@rows("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_document_names_is_there(page: Path) -> None:
    files = named(r"\b((?:simulator|tests|docs|scenarios|docker|deploy|benchmarks)/[\w./-]*\w/?)", page)
    assert {file for file in files if not (ROOT / file).exists()} == set()
    links = {link.partition("#")[0] for link in named(r"\]\(([^)#][^)]*)\)", page) if "://" not in link}
    assert {link for link in links if not (page.parent / link).exists()} == set()


def test_every_module_that_the_architecture_names_is_there() -> None:
    rooms = {path.name for path in PACKAGE.iterdir()}
    modules = {name for name in named(r"`([a-z]\w*(?:\.[a-z]\w*)+)`", ARCHITECTURE) if name.split(".")[0] in rooms}
    assert len(modules) > 20
    assert {name for name in modules if importlib.util.find_spec(f"imagestore_sim.{name}") is None} == set()
    files = named(r"`([a-z]\w*/[\w/]*(?:\.\w+)?)", ARCHITECTURE)
    assert {file for file in files if not any((root / file).exists() for root in (ROOT, PACKAGE))} == set()


def test_the_rooms_of_the_architecture_are_those_that_are_checked() -> None:
    """The picture of floors has each room that import-linter knows, from the top down."""
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    floor = {
        room.strip().removeprefix("imagestore_sim."): number
        for number, row in enumerate(layers)
        for room in re.split(r"[|:]", row)
    }
    [picture] = re.findall(r"```\n( cli .*?)```", ARCHITECTURE.read_text(), re.DOTALL)
    drawn = [re.findall(r"[a-z]\w*", re.split(r" {2,}", line.strip())[0]) for line in picture.splitlines()]
    floors = [floor[room] for row in drawn for room in row]
    assert floors == sorted(floors)
    assert set(floor) - {room for row in drawn for room in row} == {"__main__"}


def test_every_option_that_a_document_names_is_one() -> None:
    known = {*options(COMMANDS), "--help", *OF_OTHER_PROGRAMS}
    assert named(r"(?<![\w-])(--[a-z][a-z-]+)") - known == set()


def test_every_variable_that_a_document_names_is_one() -> None:
    known = {parameter.envvar for command in COMMANDS.commands.values() for parameter in command.params} | OF_KITS
    assert len(named(r"(IMAGESTORE_SIM_[A-Z_]*[A-Z])")) > 5
    assert named(r"(IMAGESTORE_SIM_[A-Z_]*[A-Z])") - known == set()


def test_every_make_target_that_a_document_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named(r"(?:`|^)make ([a-z-]+)(?:`| +#|$)") <= targets


def test_make_alone_is_said_to_list_the_targets_and_nothing_else() -> None:
    assert named(r"`make`\s+(\w+)", *PAGES_OF_USERS) == {"alone"}


@rows("page", PAGES_OF_USERS, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_a_path_that_leads_through_the_checkout_is_not_said_to_begin_in_it(page: Path) -> None:
    if named(r"(\./imagestore-sim\b|(?<!/)\bimagestore-sim/clients/)", page):
        text = " ".join(page.read_text(encoding="utf-8").split())
        assert "checkout" in text
        assert not re.search(r"(?:in|from) (?:this|the repository's|the project's) folder", text)


def test_every_call_of_the_lab_s_api_that_a_document_names_is_one() -> None:
    """`lab-api.md` has them all, which `lab_api/test_openapi.py` holds to what is served."""
    served = named(r"^\| `[A-Z]+ (/lab/v1/\S+)` \|", ROOT / "docs" / "lab-api.md")
    known = [re.compile(re.sub(r"\\\{\w+\\\}", r"(?:\\{\\w+\\}|[\\w-]+)", re.escape(path))) for path in served]
    mentioned = named(r"(/lab/v1/[\w/{}-]*[\w}](?:\.json)?)")
    assert len(mentioned) > 20
    assert {path for path in mentioned if not any(pattern.fullmatch(path) for pattern in known)} == set()


def test_every_step_of_scenarios_is_documented() -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text("utf-8")
    [actions] = re.findall(r"\*\*What happens\.\*\*.*?\n\n(\|.*?)\n\n", text, re.DOTALL)
    [expectations] = re.findall(r"\*\*What is expected\.\*\*(.*?);", text, re.DOTALL)
    documented = {*re.findall(r"`(\w+):", actions), *re.findall(r"`(\w+)", expectations)}
    assert documented == set(STEP_KINDS)


def command_lines() -> list[str]:
    """Return what follows `imagestore-sim` in spans and blocks of code, without comments and redirections."""
    code = named(r"`(imagestore-sim [^`\n]+)`") | {
        line for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
        for line in block.splitlines()
    }  # fmt: skip
    found = (re.match(r"\s*imagestore-sim (\S+ [^#>&|]*[^#>&|\s])", line) for line in code)
    return sorted({one[1] for one in found if one is not None})


@rows("line", command_lines())
def test_every_command_line_that_a_document_names_is_read(line: str) -> None:
    """Its options and arguments are understood; what it does is not done."""
    name, *arguments = shlex.split(line)
    command = COMMANDS.commands[name]
    if arguments[-1:] == ["--password"]:
        arguments.append("password")  # it would be asked for
    command.make_context(name, arguments)
