"""The steps of a timeline that happen to management nodes: to the only one of a story, or to some of several.

A new one is a class here, a key of `Step`, and a function in `play.node_actions`. Each NodesStep needs a story with
`nodes: 2` or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from imagestore_sim.scenario.format.schema import Names, ScenarioModel, reject
from imagestore_sim.units import Seconds, SignedSeconds, duration_text

MOST_NODES = 9
Neighbour = Literal["database", "nodes", "hosts"]
"""What a node can be cut off from."""
NEIGHBOURS: tuple[Neighbour, ...] = ("database", "nodes", "hosts")
_NEIGHBOUR = {"type": "string", "enum": list(NEIGHBOURS)}
Neighbours = Annotated[
    tuple[Neighbour, ...],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [_NEIGHBOUR, {"type": "array", "items": _NEIGHBOUR, "minItems": 1}]}),
]


def node_names(count: int) -> list[str]:
    """Return the names of `count` nodes: node-1, node-2 and so on."""
    return [f"node-{number}" for number in range(1, count + 1)]


class RestartNodeStep(ScenarioModel):
    """The management node is stopped, and started again over the same database."""

    node: Names | None = Field(None, description="which nodes, of several; one after the other")
    down: Seconds = Field(0.0, description="how long it is down")

    def __str__(self) -> str:
        return f"{_of(self.node)}down for {duration_text(self.down)}"


class KillNodeStep(ScenarioModel):
    """The management node is killed (kill -9), and started again over the same database.

    With `commits`, that comes between a commit and its answer: what is written is kept, and no client hears of it. Of
    several nodes, one that is killed without `down` stays so until `start_node`.
    """

    node: Names | None = Field(None, description="which nodes, of several")
    commits: int = Field(0, ge=0, le=1000, description="right after which commit from now on; 0: at once")
    within: Seconds = Field(60.0, description="when it is killed if there are fewer commits")
    down: Seconds | None = Field(None, description="how long it is down; 0s if unset, of several until start_node")

    def __str__(self) -> str:
        shown = [f"after commit {self.commits}"] if self.commits else []
        if self.down is not None or self.node is None:
            shown.append(f"down for {duration_text(self.down or 0.0)}")
        return f"{_of(self.node)}{', '.join(shown)}".removesuffix(": ")


class NodesStep(ScenarioModel):
    """Something happens to some of several nodes."""

    node: Names

    def __str__(self) -> str:
        return ", ".join(self.node)


class StopNodeStep(NodesStep):
    """Nodes are stopped cleanly: the others take over at once."""

    lasts: Seconds | None = Field(None, alias="for", description="how long until they start again by themselves")

    def __str__(self) -> str:
        return super().__str__() + _lasting(self.lasts)


class StartNodeStep(NodesStep):
    """Nodes are started that were stopped or killed, or have stopped themselves; those that run stay as they are."""


class PauseNodeStep(NodesStep):
    """Nodes stand still, as a stopped process does (SIGSTOP, `docker pause`)."""

    lasts: Seconds | None = Field(None, alias="for", description="how long; until resume_node if unset")

    def __str__(self) -> str:
        return super().__str__() + _lasting(self.lasts)


class ResumeNodeStep(NodesStep):
    """Nodes that stand still continue, with all that has come meanwhile."""

    node: Names = ("*",)


class PartitionStep(NodesStep):
    """Nodes are cut off: calls of the database fail, other nodes refuse messages, hosts cannot be reached."""

    from_: Neighbours = Field(alias="from", min_length=1, description="what they are cut off from")
    others: Names | None = Field(None, description="from which other nodes, where that is `nodes`; from all if unset")
    lasts: Seconds | None = Field(None, alias="for", description="how long; until heal_partition if unset")

    @model_validator(mode="after")
    def _others_are_nodes(self) -> Self:
        _check_others(self.from_, self.others)
        return self

    def __str__(self) -> str:
        return f"{super().__str__()} from {_what(self)}{_lasting(self.lasts)}"


class HealPartitionStep(NodesStep):
    """Nodes that are cut off reach again what they were cut off from."""

    node: Names = ("*",)
    from_: Neighbours = Field(NEIGHBOURS, alias="from", min_length=1, description="what they reach again")
    others: Names | None = Field(None, description="which other nodes, where that is `nodes`; all if unset")

    @model_validator(mode="after")
    def _others_are_nodes(self) -> Self:
        _check_others(self.from_, self.others)
        return self

    def __str__(self) -> str:
        return f"{super().__str__()} from {_what(self)}"


class SkewClockStep(NodesStep):
    """The clocks of nodes are wrong: dates, not how fast time passes."""

    by: SignedSeconds = Field(description="how far they are ahead of the others, or behind; 0s: they are right again")

    def __str__(self) -> str:
        sign = "behind" if self.by < 0 else "ahead"
        return f"{super().__str__()} {duration_text(abs(self.by))} {sign}"


def _check_others(neighbours: Sequence[str], others: Sequence[str] | None) -> None:
    if others is not None and "nodes" not in neighbours:
        reject(("others",), "expected only with `from: nodes`: others are nodes that it is about")


def _what(step: PartitionStep | HealPartitionStep) -> str:
    """Return what a step is about: neighbours, with the names of other nodes in place of `nodes`."""
    others = None if step.others is None else " and ".join(step.others)
    return " and ".join(others if one == "nodes" and others is not None else one for one in step.from_)


def _of(names: tuple[str, ...] | None) -> str:
    return "" if names is None else f"{', '.join(names)}: "


def _lasting(seconds: float | None) -> str:
    return "" if seconds is None else f" for {duration_text(seconds)}"
