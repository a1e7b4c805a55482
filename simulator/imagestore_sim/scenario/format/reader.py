"""Reads a scenario file. An error names the line and the column, and says what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import ValidationError

from imagestore_sim import whole_files
from imagestore_sim.scenario.format.api_steps import ADMIN, REFERENCE, AddImageStep, ApiStep, CallStep, MayBeLong
from imagestore_sim.scenario.format.expectations import Condition
from imagestore_sim.scenario.format.model import Scenario, StorageRecord
from imagestore_sim.scenario.format.node_steps import KillNodeStep, NodesStep, RestartNodeStep
from imagestore_sim.scenario.format.schema import Place, Problems, expand_range, matching, unknown
from imagestore_sim.scenario.format.steps import ProgramStep, Step
from imagestore_sim.scenario.format.vacuity import vacuous_expectations
from imagestore_sim.units import duration_text
from imagestore_sim.validation_errors import first_problem
from imagestore_sim.yaml_text import BoundedLoader, read_yaml

SEVERAL = "expected nodes: 2 or more at the top of the file"
Rules = Callable[[Scenario], Problems]
"""Yields what a world cannot play: the place in the file, and why."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a step may refer to."""

    hosts: list[str]
    storages: list[str]
    zones: list[str]
    images: list[str]
    accounts: list[str]
    nodes: list[str]
    long_jobs: list[str] = field(default_factory=list)

    @property
    def referable(self) -> list[str]:
        """The names that `$NAME` may stand for."""
        return [*self.storages, *self.zones, *self.images, *self.long_jobs]


class ScenarioError(Exception):
    """A file that is not a scenario; the text names file, line and column, and says what was expected."""


class Loader(BoundedLoader):
    """YAML whose plain scalars are text, except null, true, false and decimal numbers."""


Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"[-+]?(?:0|[1-9]\d*)", list("-+0123456789")),
    ("float", r"[-+]?\d+\.\d+", list("-+0123456789")),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def no_rules(scenario: Scenario) -> Problems:
    """Return no rules beside the format's own."""
    return iter(())


def read_scenario(file: Path, rules: Rules = no_rules) -> Scenario:
    """Return the scenario in a file, if it obeys the rules of the world it is for. Raise ScenarioError."""
    return parse_scenario(read_text(file), str(file), rules)


def read_text(file: Path) -> str:
    """Return the text of a file. Raise ScenarioError."""
    try:
        return whole_files.read_text(file)
    except OSError as error:
        raise ScenarioError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{file}: is not UTF-8 text") from None


def parse_scenario(text: str, name: str = "scenario", rules: Rules = no_rules) -> Scenario:
    """Return the scenario in a text; errors call the text `name`. Raise ScenarioError."""
    try:
        tree, content = read_yaml(text, Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ScenarioError(f"{_location(name, mark)}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{name}: not valid YAML: {error}") from None
    if (twice := next(_repeated_keys(tree), None)) is not None:
        raise ScenarioError(f"{_location(name, twice.start_mark)}: {twice.value} is given twice")
    return _scenario_of({} if content is None else content, rules, name, tree)


def scenario_of(content: object, name: str = "scenario", rules: Rules = no_rules) -> Scenario:
    """Return the scenario in the content of a file. Raise ScenarioError, which tells no line."""
    return _scenario_of(content, rules, name, None)


def _scenario_of(content: object, rules: Rules, name: str, tree: yaml.Node | None) -> Scenario:
    try:
        scenario = Scenario.model_validate(content)
        problems = [*_broken_rules(scenario), *rules(scenario)]
        problems += [] if problems else vacuous_expectations(scenario)
    except ValidationError as error:
        first = first_problem(error, Scenario, content)
        message = "is missing: it is required" if first.kind == "missing" else first.text
        raise ScenarioError(_error_text(name, tree, first.place, message)) from None
    for place, problem in problems:
        raise ScenarioError(_error_text(name, tree, place, problem))
    return scenario


def unplayable_steps(content: object) -> set[int]:
    """Return the indexes of the steps that do not fit to the others, such as one about an image that nothing adds.

    Return none for content that is no scenario at all.
    """
    try:
        scenario = Scenario.model_validate(content)
    except ValidationError:
        return set()
    places = (place for place, _ in _broken_rules(scenario))
    return {int(place[1]) for place in places if place[0] == "timeline"}


def _error_text(name: str, tree: yaml.Node | None, place: Place, message: str) -> str:
    field = ".".join(str(step + 1) if isinstance(step, int) else step for step in place)
    return f"{_location(name, _mark(tree, place))}: {field + ': ' if field else ''}{message}"


def _location(name: str, mark: yaml.Mark | None) -> str:
    return name if mark is None else f"{name}, line {mark.line + 1}, column {mark.column + 1}"


def _mark(node: yaml.Node | None, place: Place) -> yaml.Mark | None:
    """Return the mark of the field at `place`, or of the innermost part around it that is in the file."""
    mark = node.start_mark if node is not None else None
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                break
            mark, node = found[0][0].start_mark, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            mark = node.start_mark
    return mark


def _repeated_keys(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _repeated_keys(one)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key
                seen.add(key.value)
            yield from _repeated_keys(value)


def _broken_rules(scenario: Scenario) -> Problems:
    """Yield what the parts alone cannot show: unknown names, and times that go back."""
    ranges = list(_bad_ranges(scenario))
    if ranges:
        yield from ranges
        return
    hosts = scenario.all_hosts()
    for number, record in enumerate(scenario.storages or ()):
        yield from (
            (("storages", number, *place), text) for place, text in _storage_rules(record, scenario, list(hosts))
        )
    yield from _repeated_storages(scenario)
    storages = [one.name for one in scenario.all_storages()]
    names = Names(list(hosts), storages, list(scenario.zones), [], [ADMIN, *scenario.accounts], scenario.all_nodes())
    for number, step in enumerate(scenario.timeline):
        for place, text in (*_step_rules(step, names), *_node_rules(step, names.nodes)):
            yield ("timeline", number, *place), text
        if isinstance(step.content, CallStep) and step.content.known_as:
            storages.append(step.content.known_as)
        if isinstance(step.content, ApiStep):
            names.images.extend(one for one in step.content.makes() if one not in names.images)
        if isinstance(step.content, MayBeLong) and step.content.long_job:
            names.long_jobs.append(step.content.long_job)
    yield from _times(scenario)
    for number, invariant in enumerate(scenario.invariants):
        condition = getattr(invariant, invariant.kind)
        place = ("invariants", number, invariant.kind)
        yield from _unknown_names(condition.storage, storages, "storage", (*place, "storage"))
        if isinstance(condition, Condition):
            yield from _unknown_names(condition.image, names.images, "image", (*place, "image"))
            yield from _unknown_references(condition.query or "", names, (*place, "query"))
            for key, text in _rules_of_condition(condition, names.nodes):
                yield (*place, key), text


def _bad_ranges(scenario: Scenario) -> Problems:
    """Yield the names of hosts and storages whose ranges stand for nothing, or for another number than they have to."""
    written: list[tuple[Place, str]] = [(("hosts", name), name) for name in scenario.hosts]
    for number, record in enumerate(scenario.storages or ()):
        written += [(("storages", number, "name"), record.name), (("storages", number, "hostname"), record.hostname)]
    bad = False
    for place, text in written:
        try:
            expand_range(text)
        except ValueError as error:
            bad = True
            yield place, str(error)
    for number, record in enumerate(() if bad else scenario.storages or ()):
        try:
            list(record.expand_range())
        except ValueError as error:
            yield ("storages", number, "hostname"), str(error)


def _repeated_storages(scenario: Scenario) -> Problems:
    seen: set[str] = set()
    for number, record in enumerate(scenario.storages or ()):
        for one in record.expand_range():
            if one.name in seen:
                yield ("storages", number, "name"), f"{one.name} is given twice: storages are known by their names"
            seen.add(one.name)


def _storage_rules(record: StorageRecord, scenario: Scenario, hosts: list[str]) -> Problems:
    for one in record.expand_range():
        if one.hostname not in hosts:
            yield ("hostname",), unknown(one.hostname, hosts)
    if record.zone is not None and record.zone not in scenario.zones:
        yield ("zone",), unknown(record.zone, scenario.zones)


def _step_rules(step: Step, names: Names) -> Problems:
    content = step.content
    if isinstance(content, ApiStep):
        yield from _taken_names(content.makes(), [*names.storages, *names.zones, *names.long_jobs], (step.kind,))
    if isinstance(content, MayBeLong) and content.long_job is not None:
        place = (step.kind, "long_job")
        if not REFERENCE.fullmatch(f"${content.long_job}"):
            yield place, f"expected a name that `$NAME` can refer to, but got {content.long_job!r}"
        yield from _taken_names([content.long_job], names.referable, place)
    for key, attribute, what, there in (
        ("host", "host", "host", names.hosts),
        ("storage", "storage", "storage", names.storages),
        ("from", "source", "storage", names.storages),
        ("to", "to", "storage", names.storages),
        ("image", "image", "image", names.images),
    ):
        if not (key == "image" and isinstance(content, AddImageStep)):  # those names are new
            yield from _unknown_names(getattr(content, attribute, None), there, what, (step.kind, key))
    if isinstance(content, ApiStep) and content.account not in names.accounts:
        yield (step.kind, "account"), unknown(content.account, names.accounts)
    if isinstance(content, CallStep):
        yield from _unknown_references(content.path, names, (step.kind, "path"))
        yield from _unknown_references(str(content.body), names, (step.kind, "body"))
    elif isinstance(content, Condition):
        yield from _unknown_references(content.query or "", names, (step.kind, "query"))
    elif step.query is not None:
        yield from _unknown_references(step.query, names, (step.kind,))


def _node_rules(step: Step, nodes: list[str]) -> Problems:
    """Yield nodes that there are not, and what needs several nodes in a story that has one."""
    content = step.content
    if isinstance(content, Condition):
        for key, text in _rules_of_condition(content, nodes):
            yield (step.kind, key), text
        return
    if isinstance(content, NodesStep) and len(nodes) == 1:
        yield (step.kind,), f"{step.kind} needs several nodes; {SEVERAL}"
    elif isinstance(content, ProgramStep) and len(nodes) > 1:
        yield (step.kind,), "a program runs against one node, and the story has several"
    elif isinstance(content, RestartNodeStep | KillNodeStep | NodesStep | ApiStep):
        given = (content.node,) if isinstance(content.node, str) else content.node
        if given is not None and len(nodes) == 1:
            yield (step.kind, "node"), f"the story has one node; {SEVERAL}"
        elif given is None and not isinstance(content, ApiStep) and len(nodes) > 1:
            yield (step.kind,), f"expected the node that is meant, of {', '.join(nodes)}: node is missing"
        else:
            yield from _unknown_names(given, nodes, "node", (step.kind, "node"))
            yield from _unknown_names(getattr(content, "others", None), nodes, "node", (step.kind, "others"))


def _rules_of_condition(condition: Condition, nodes: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what a condition says of nodes that there are not: the key, and why."""
    for key in ("node", "owner"):
        if getattr(condition, key) is not None and len(nodes) == 1:
            yield key, f"the story has one node; {SEVERAL}"
    if condition.node is not None and len(nodes) > 1 and condition.node not in nodes:
        yield "node", unknown(condition.node, nodes)


def _taken_names(made: Sequence[str], taken: Sequence[str], place: Place) -> Problems:
    """Yield the names of images and long jobs that something else has as well: `$NAME` would mean two things."""
    for name in made:
        if name in taken:
            yield place, f"{name} is the name of something else already; expected another one"


def _unknown_references(text: str, names: Names, place: Place) -> Problems:
    """Yield each `$NAME` in a text that stands for nothing."""
    for name in REFERENCE.findall(text):
        if name not in names.referable:
            yield place, f"${name}: {unknown(name, names.referable)}"


def _unknown_names(patterns: Sequence[str] | None, names: list[str], what: str, place: Place) -> Problems:
    for pattern in patterns or ():
        if not list(matching([pattern], names)):
            if set(pattern) & set("*?["):
                yield place, f"no {what} matches {pattern}; there are {', '.join(names)}"
            else:
                yield place, unknown(pattern, names)


def _times(scenario: Scenario) -> Problems:
    """Yield the times that are before that of a step above."""
    earliest = 0.0
    for number, step in enumerate(scenario.timeline):
        if step.at is not None and step.at < earliest:
            text = f"time goes back: expected {duration_text(earliest)} or later, when the step above is"
            yield ("timeline", number, "at"), f"{text}, but got {duration_text(step.at)}"
        earliest = step.at if step.at is not None else earliest + (step.after or 0.0)
        if step.until is not None and step.until < earliest:
            text = f"expected the end of the repetition at {duration_text(earliest)}, when it begins, or later"
            yield ("timeline", number, "until"), f"{text}, but got {duration_text(step.until)}"
        if scenario.ends is not None and earliest > scenario.ends:
            yield ("ends",), f"expected {duration_text(earliest)}, when the last step is, or later"
