"""Draws stories from seeds: a swarm configuration, a timeline of what goes wrong, and then all of it healed.

All comes from the declarations: of steps, faults, options and calls. A new one is drawn without a line here. Each run
leaves much out (swarm testing, ISSTA 2012): what hides a fault in one run is missing in another.

A story has three phases. *Safety*: faults, changes and calls, while the oracle's invariants hold. *Healing*: every
fault is healed, every host runs, the options are as they were. *Liveness*: after two intervals of the pings and 30
seconds everything is Connected, and nothing is left over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

from imagestore_sim.backup_storage.global_config import OPTIONS as STORAGE_OPTIONS
from imagestore_sim.backup_storage.global_config import PING_INTERVAL, PING_PARALLELISM
from imagestore_sim.cluster import FAITHFUL, MODES
from imagestore_sim.explore.calls import (
    Known,
    draw_call,
    drawable_calls,
    drawable_reads,
    is_about_long_jobs,
    makes_storage,
)
from imagestore_sim.explore.shown import after_healing
from imagestore_sim.explore.story import Content
from imagestore_sim.explore.values import DURATIONS, OPTIONAL, draw_object
from imagestore_sim.faults import FAULTS, NODE_FAULTS
from imagestore_sim.faults.base import AnyFault
from imagestore_sim.images.rows import UPLOAD
from imagestore_sim.rest.messages import Message
from imagestore_sim.scenario.format.api_steps import (
    ANSWERS,
    AddImageStep,
    ApiStep,
    CallStep,
    ClientStep,
    UploadImageStep,
)
from imagestore_sim.scenario.format.expectations import Condition
from imagestore_sim.scenario.format.model import ZONE
from imagestore_sim.scenario.format.node_steps import KillNodeStep, NodesStep, RestartNodeStep, node_names
from imagestore_sim.scenario.format.options import option_text
from imagestore_sim.scenario.format.steps import STEPS, FaultStep, NodeFaultStep
from imagestore_sim.units import duration_text, parse_seconds

INTERVALS = ("1s", "5s", "10s", "20s", "30s")
"""Of pings: a run that waits for longer ones tells no more."""
SHORT = 5.0
"""Seconds of an interval below which the gaps between steps are shorter, too: most of what happens is pings."""
GAPS = (0.0, 0.0, 0.1, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds between two steps; two at one moment are what an order is drawn for."""
FEWEST, MOST = 3, 30
MOST_HOSTS = 4
SOURCES = (
    {"size": "1 GiB", "actualSize": "1 GiB", "rate": "512 MiB"},
    {"size": "8 GiB", "actualSize": "8 GiB", "rate": "512 MiB"},
    {"size": "1 MiB", "actualSize": "1 MiB"},
)
READ = "read"
"""A query: a `call` step that changes nothing."""
WITHOUT_MODEL = ("fault", "settings", READ)
"""Steps that are drawn by their own declarations: kinds of faults, options, and queries."""
STARTS = ("restart_node", "kill_node", "start_node")
MOST_STARTS = 4
"""Steps of these kinds in one story: to start a node takes as long as a hundred pings."""
OF_PEOPLE = ("program",)
"""Steps that only people write: no declaration tells which programs there are."""
WEIGHTS: Mapping[str, int] = {"fault": 8, "call": 5, "client": 3, "add_image": 2, READ: 2}
"""How often these are drawn, when the others are drawn once: each stands for many things."""
SEVERAL = 0.3
"""How probable a story of several nodes is."""
MOST_NODES = 3
HOSTS_OF_SEVERAL, STEPS_OF_SEVERAL = 2, 12
"""Hosts and steps of such a story at the most: three nodes take three times as long as one."""
NODE_STEPS = (NodesStep, RestartNodeStep, KillNodeStep)
LASTING = 0.7
"""How probable it is that what a step does to a node ends by itself."""
FEW = 0.1
"""How probable a story is that begins without a storage."""
OF_ADDS = 3
"""How often a call that adds a storage is drawn, when others are drawn once: all other calls are about one."""
OF_LONG_JOBS = 4
"""How often a call about a long job is drawn once there is one: it may end soon."""
LOOKING = (0.0, 0.0, 0.3, 1.0)
"""How often a story looks at what there is once something was done: what it saw before is remembered somewhere."""
NEARNESS = (0.0, 0.5, 0.9)
"""How often the next thing happens to the host that the last one happened to."""
TRIES = 20
"""How often a step is drawn again that a story does not allow."""


@dataclass(frozen=True, slots=True)
class Swarm:
    """What a run may draw from: a part of all that there is."""

    hosts: Sequence[str]
    steps: Sequence[str]
    faults: Sequence[str]
    node_faults: Sequence[str]
    calls: Sequence[type[Message]]
    settings: Sequence[str]
    reads: Sequence[str]
    looking: float
    """How probable a look is after each step."""
    nodes: Sequence[str] = ()
    """The nodes of the story, if it has several."""
    nearness: float = 0.0
    """How probable it is that a step meets the host that the one before has met."""


@dataclass(slots=True)
class Names:
    """The names of a story, as far as it has come."""

    hosts: Sequence[str]
    storages: list[str]
    images: list[str] = field(default_factory=list)
    long_jobs: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    """Images that wait for their upload, or have."""
    free: list[str] = field(default_factory=list)
    """Hosts that have no storage."""
    near: list[str] = field(default_factory=list)
    """The host that the last step has met."""
    nodes: Sequence[str] = ()
    """The nodes, if there are several."""
    made: int = 0
    starts: int = 0
    """How often the node has been started again."""

    def new(self, what: str) -> str:
        """Return a name that nothing has."""
        self.made += 1
        return f"{what}-{self.made}"

    @property
    def known(self) -> Known:
        """The names that a call may refer to."""
        return Known(self.hosts, self.storages, (ZONE,), self.images, self.free, self.near, self.long_jobs)

    def begin(self, kind: str) -> None:
        """Note that a step of a kind is drawn. Raise ValueError if a story has enough of them."""
        self.starts += kind in STARTS
        if self.starts > MOST_STARTS:
            raise ValueError(f"the node is started {MOST_STARTS} times in a story at the most")


def generate(seed: int) -> Content:
    """Return the story of a seed: the same one each time."""
    draws = Random(f"story {seed}")  # noqa: S311 - runs are to be the same, nothing is secret
    nodes, mode = _draw_nodes(seed)
    swarm = draw_swarm(draws, nodes=nodes)
    content = draw_beginning(draws, swarm, seed)
    if nodes:
        content |= {"nodes": len(nodes), "node": {"cluster_mode": mode}}
    names = names_in(content)
    interval = seconds_of_interval(content["settings"][PING_INTERVAL.name])
    at = 0.0
    most = draws.randint(FEWEST, MOST)
    for _ in range(min(most, STEPS_OF_SEVERAL) if nodes else most):
        at += draws.choice(GAPS) * min(1.0, interval / SHORT)
        if (step := draw_step(draws, swarm, names)) is not None:
            content["timeline"].append({"at": duration_text(at), **step})
            if draws.random() < swarm.looking:
                content["timeline"].append({"at": duration_text(at), "call": draw_read(draws, swarm)})
    return with_healing(content)


def _draw_nodes(seed: int) -> tuple[list[str], str]:
    """Return the names of the nodes if there are several, and their mode."""
    draws = Random(f"nodes {seed}")  # noqa: S311 - as above
    if draws.random() > SEVERAL:
        return [], ""
    return node_names(draws.randint(2, MOST_NODES)), draws.choice(tuple(MODES))


def nodes_of(seed: int) -> int:
    """Return how many nodes the story of a seed has; quicker than the story."""
    return max(1, len(_draw_nodes(seed)[0]))


def nodes_in(content: Content) -> list[str]:
    """Return the names of the nodes of a story that has several; none if it has one."""
    count = content.get("nodes", 1)
    return node_names(count) if count > 1 else []


def names_in(content: Content) -> Names:
    """Return the names that a story begins with."""
    taken = [one["hostname"] for one in content["storages"]]
    hosts = list(content["hosts"])
    free = [one for one in hosts if one not in taken]
    return Names(hosts, [one["name"] for one in content["storages"]], free=free, nodes=nodes_in(content))


def with_healing(content: Content) -> Content:
    """Return a story with the phases of healing and liveness at its end.

    Whatever its steps have changed is as it was: faults are healed, hosts run, options have the values that they had.
    """
    timeline = content["timeline"]
    began = max((parse_seconds(one["at"]) for one in timeline if "at" in one), default=0.0) + 1
    changed = {name for one in timeline for name in one.get("settings", {})}
    before = content.get("settings", {})
    healing: list[Content] = [
        {"at": duration_text(began), "title": "heal everything", "heal": {}},
        *([{"resume_node": {}}] if _waits_for_pause(timeline) else []),
        {"heal": {"node": "all"}},
        {"start": {"host": "*"}},
        *_healing_of_nodes(content),
        *({"settings": {name: before.get(name, _default(name))}} for name in sorted(changed)),
    ]
    return {**content, "timeline": [*timeline, *healing, {"title": "all is well again", "wait": quiet_time(content)}]}


def _waits_for_pause(timeline: Sequence[Content]) -> bool:
    """Return whether healing nodes could wait for ever: a node that stands still is healed once it goes on."""
    stands_still = any("for" not in one["pause_node"] for one in timeline if "pause_node" in one)
    return stands_still and any("node" in one["fault"] for one in timeline if "fault" in one)


def _healing_of_nodes(content: Content) -> Iterator[Content]:
    """Yield what heals several nodes; one that was taken for dead stops itself before it is started."""
    if nodes_in(content):
        yield from ({"resume_node": {}}, {"heal_partition": {}}, {"skew_clock": {"node": "*", "by": "0s"}})
        yield {"wait": duration_text(2 * MODES[_mode_of(content)].beat)}
        yield {"start_node": {"node": "*"}}


def _mode_of(content: Content) -> str:
    return str(content.get("node", {}).get("cluster_mode", FAITHFUL.name))


def quiet_time(content: Content) -> str:
    """Return how long a story waits after the healing: two of its longest intervals, and `after_healing`."""
    steps = [one.get("settings", {}) for one in content["timeline"]]
    first = {PING_INTERVAL.name: PING_INTERVAL.default, **content.get("settings", {})}
    given = [one[PING_INTERVAL.name] for one in (first, *steps) if PING_INTERVAL.name in one]
    patience = after_healing(content.get("nodes", 1), _mode_of(content))
    return duration_text(2 * max(seconds_of_interval(one) for one in given) + patience)


def seconds_of_interval(value: object) -> float:
    """Return the seconds in a value of `ping.interval`, as settings write it: `10s`, or 10."""
    return float(option_text(PING_INTERVAL.name, value))


def _default(name: str) -> Any:
    return next(one.default for one in STORAGE_OPTIONS if one.name == name)


# The swarm


def _some(draws: Random, everything: Sequence[Any]) -> list[Any]:
    """Return a part of a sequence in its order: at least one, and of few or of many as it comes."""
    share = draws.choice((0.1, 0.3, 0.6))
    chosen = [one for one in everything if draws.random() < share]
    return chosen or [draws.choice(everything)]


def draw_swarm(draws: Random, hosts: Sequence[str] = (), nodes: Sequence[str] = ()) -> Swarm:
    """Return a part of all that there is; without `hosts`, draw how many there are. `nodes`: if there are several."""
    drawn = hosts or [f"imagestore-{number}" for number in range(1, draws.randint(1, MOST_HOSTS) + 1)]
    return Swarm(
        hosts=drawn if hosts or not nodes else drawn[:HOSTS_OF_SEVERAL],
        nodes=nodes,
        steps=_some(draws, step_kinds(several=bool(nodes))),
        faults=_some(draws, sorted(FAULTS)),
        node_faults=_some(draws, sorted(NODE_FAULTS)),
        calls=_some(draws, drawable_calls()),
        settings=_some(draws, [one.name for one in STORAGE_OPTIONS]),
        reads=_some(draws, drawable_reads()),
        looking=draws.choice(LOOKING),
        nearness=draws.choice(NEARNESS),
    )


@cache
def step_kinds(*, several: bool = False) -> tuple[str, ...]:
    """Return the keys of the steps that do something: all that have a model, but for what they expect.

    Those that need several nodes are among them if there are.
    """
    without = Condition if several else Condition | NodesStep
    acting = [name for name, model in STEPS.items() if not issubclass(model, without)]
    return (*(one for one in acting if one not in OF_PEOPLE), *WITHOUT_MODEL)


_SCHEMAS: dict[type[Any], Mapping[str, Any]] = {}


def _schema_of(model: type[Any]) -> Mapping[str, Any]:
    """Return the schema of a step or a fault, which takes long to make."""
    if model not in _SCHEMAS:
        _SCHEMAS[model] = model.model_json_schema(by_alias=True)
    return _SCHEMAS[model]


def draw_beginning(draws: Random, swarm: Swarm, seed: int) -> Content:
    """Return what a story begins with: hosts, storages, settings, and no step."""
    hosts = {name: _draw_host(draws) for name in swarm.hosts}
    count = draws.randint(1, len(swarm.hosts)) if draws.random() > FEW else 0
    with_storage = swarm.hosts[:count]
    content: Content = {
        "title": f"run {seed}",
        "seed": seed,
        **({} if draws.random() < OPTIONAL else {"order": {"seed": seed}}),
        "hosts": hosts,
        "storages": [{"name": name, "hostname": name} for name in with_storage],
        "imageSources": [{"url": "*", **draws.choice(SOURCES)}],
        "settings": {PING_INTERVAL.name: draws.choice(INTERVALS), **_draw_parallelism(seed)},
        "timeline": [],
        "oracle": "all",
    }
    return content


def _draw_parallelism(seed: int) -> Content:
    """Return how many pings may be under way at once, if that is few."""
    draws = Random(f"parallelism {seed}")  # noqa: S311 - as above
    return {PING_PARALLELISM.name: draws.choice((1, 2))} if draws.random() < OPTIONAL else {}


def _draw_host(draws: Random) -> Content:
    host: Content = {"size": "1 TiB", "used": draws.choice(("0%", "40%", "99%"))}
    for name in ("sftp", "statvfs"):
        if draws.random() < OPTIONAL / 2:
            host[name] = False
    return host


# The steps


def draw_step(draws: Random, swarm: Swarm, names: Names) -> Content | None:
    """Return a step that the story allows where it has come; None if none was drawn in TRIES."""
    for _ in range(TRIES):
        [kind] = draws.choices(swarm.steps, [WEIGHTS.get(one, 1) for one in swarm.steps])
        try:
            names.near = names.near if draws.random() < swarm.nearness else []
            content = _draw_content(draws, kind, swarm, names)
            names.begin(kind)
        except ValueError:
            continue
        if names.nodes and kind in (READ, "call", "client") and draws.random() < 0.5:
            content["node"] = draws.choice(names.nodes)
        if kind == READ:
            return {"call": content}
        names.near = [content["host"]] if content and content.get("host", "*") != "*" else names.near
        return {kind: content}
    return None


def draw_read(draws: Random, swarm: Swarm) -> Content:
    """Return a query, of the few that a story asks again and again."""
    return {"method": "GET", "path": draws.choice(swarm.reads)}


def _draw_content(draws: Random, kind: str, swarm: Swarm, names: Names) -> Any:
    if kind == "settings":
        return dict([_draw_setting(draws, draws.choice(swarm.settings))])
    if kind == READ:
        return draw_read(draws, swarm)
    if kind == "fault":
        return _draw_fault(draws, swarm, names)
    model = STEPS[kind]
    if issubclass(model, CallStep):
        return _draw_call(draws, model, swarm, names)
    if issubclass(model, FaultStep):
        return {"host": _host(draws, names), **draw_parameters(draws, FAULTS[kind])}
    schema = _schema_of(model)
    if issubclass(model, NODE_STEPS) and names.nodes:
        return _draw_node_step(draws, schema, names)
    drawn = draw_object(draws, schema, schema.get("$defs", {}), without=(*_NAMES, *ANSWERS))
    return drawn | _draw_names(draws, model, schema, names)


def _draw_node_step(draws: Random, schema: Mapping[str, Any], names: Names) -> Content:
    """Return a step that happens to one of several nodes, or to two."""
    count = min(len(names.nodes) - 1, draws.choice((1, 1, 1, 2)))
    drawn = draw_object(draws, schema, schema.get("$defs", {}), without=("node", "others"))
    if "for" in schema["properties"] and draws.random() < LASTING:
        drawn["for"] = draws.choice(DURATIONS)
    chosen = draws.sample(names.nodes, count)
    if "others" in schema["properties"] and "nodes" in drawn.get("from", ()):
        pairs = Random(f"pairs {chosen} {drawn}")  # noqa: S311 - as above, and no other draw depends on it
        if pairs.random() < OPTIONAL:
            drawn["others"] = pairs.choice([one for one in names.nodes if one not in chosen])
    return {"node": chosen[0] if count == 1 else chosen, **drawn}


def _draw_fault(draws: Random, swarm: Swarm, names: Names) -> Content:
    if draws.random() < 0.5:
        kind = draws.choice(swarm.node_faults)
        drawn = draw_parameters(draws, NODE_FAULTS[kind])
        NodeFaultStep.model_validate({"node": kind, **drawn})
        return {"node": kind, **drawn}
    kind = draws.choice(swarm.faults)
    return {"host": _host(draws, names), "kind": kind, **draw_parameters(draws, FAULTS[kind])}


def draw_parameters(draws: Random, kind: type[AnyFault]) -> Content:
    """Return parameters of a kind of fault. Raise ValueError for those that it does not take."""
    schema = _schema_of(kind)
    drawn = draw_object(draws, schema, schema.get("$defs", {}))
    kind.model_validate(drawn)
    return drawn


def _draw_call(draws: Random, model: type[CallStep], swarm: Swarm, names: Names) -> Content:
    made = names.new("made")
    of_long_jobs = OF_LONG_JOBS if names.long_jobs else 0
    weights = [OF_ADDS if makes_storage(one) else of_long_jobs if is_about_long_jobs(one) else 1 for one in swarm.calls]
    if not any(weights):
        raise ValueError("there is no long job yet")
    [message] = draws.choices(swarm.calls, weights)
    step = draw_call(draws, message, names.known, made)
    if step.get("as") == made:
        names.storages.append(made)
    if model is ClientStep:
        step |= {"retries": draws.choice((0, 1, 3)), "timeout": draws.choice(("5s", "20s"))}
    return step


def _draw_setting(draws: Random, name: str) -> tuple[str, Any]:
    """Return an option with a value that it takes."""
    option = next(one for one in STORAGE_OPTIONS if one.name == name)
    limits: Mapping[str, Any] = option.limits() or {}
    if name == PING_INTERVAL.name:
        return name, draws.choice(INTERVALS)
    if choices := limits.get("validValue"):
        return name, str(draws.choice([*choices]))
    if option.default in ("true", "false"):
        return name, draws.random() < 0.5
    if "numberGreaterThanOrEqual" in limits:
        return name, draws.choice((1, 2, 3, 5))
    return name, draws.choice(("0", "1 GiB", "100 GiB"))


# The names in steps

_NAMES: Mapping[str, Callable[[Random, Names], Any]] = {
    "host": lambda draws, names: _host(draws, names),
    "storage": lambda draws, names: _one_or_all(draws, names.storages),
    "image": lambda draws, names: _one_or_all(draws, names.images),
    "from": lambda draws, names: _one_of(draws, names.storages),
    "to": lambda draws, names: _one_of(draws, names.storages),
    "as": lambda draws, names: names.new("copy"),
    "long_job": lambda draws, names: names.new("long"),
    "url": lambda draws, names: f"{UPLOAD}image",
    "account": lambda draws, names: "admin",
    "kind": lambda draws, names: draws.choice(sorted(FAULTS)),
    "node": lambda draws, names: "all",
}
"""What the keys of steps stand for that no schema tells: names of the story."""
SEPARATE = ("account", "kind", "node")
"""Of these, what is never given: it is the default, or excludes the others."""


def _draw_names(draws: Random, model: type[Any], schema: Mapping[str, Any], names: Names) -> Content:
    """Return the names that a step refers to, and note those that it makes."""
    wanted = [one for one in schema["properties"] if one in _NAMES and one not in SEPARATE]
    required = schema.get("required", ())
    drawn: Content = {}
    for name in wanted:
        if name not in required and name != "host" and draws.random() < OPTIONAL:
            continue
        if name == "image" and model is AddImageStep:
            drawn[name] = names.new("image")
        elif name == "image" and model is UploadImageStep:
            drawn[name] = _one_or_all(draws, names.uploads)
        else:
            drawn[name] = _NAMES[name](draws, names)
    if "storage" in schema["properties"] and not names.storages:
        raise ValueError("there is no storage yet")
    if issubclass(model, ApiStep):
        names.images += _made(model, drawn)
    if "url" in drawn:
        names.uploads.append(drawn["image"])
    if "long_job" in drawn:
        names.long_jobs.append(drawn["long_job"])
    return drawn


def _made(model: type[ApiStep], drawn: Content) -> Iterator[str]:
    """Yield the names of the images that a step makes."""
    yield from model.model_validate(drawn).makes()


def _one_of(draws: Random, names: Sequence[str]) -> str:
    if not names:
        raise ValueError("there is none yet")
    return draws.choice(names)


def _host(draws: Random, names: Names) -> str:
    return _one_or_all(draws, names.near or names.hosts)


def _one_or_all(draws: Random, names: Sequence[str]) -> str:
    one = _one_of(draws, names)
    return "*" if len(names) > 1 and draws.random() < 0.1 else one
