"""Generation: stories from seeds, out of the declarations alone."""

from __future__ import annotations

from itertools import takewhile
from random import Random

import pytest

from imagestore_sim.cli.explore import NODES
from imagestore_sim.explore.calls import Known, draw_call, drawable_calls
from imagestore_sim.explore.generation import FEWEST, MOST, MOST_STARTS, STARTS, generate, step_kinds
from imagestore_sim.explore.searching import play_seed, seeds_from
from imagestore_sim.explore.story import Content, read, text_of
from imagestore_sim.explore.values import draw_object
from imagestore_sim.faults import FAULTS, NODE_FAULTS
from imagestore_sim.faults.base import AnyFault
from imagestore_sim.scenario.format.expectations import Condition
from imagestore_sim.scenario.format.node_steps import NodesStep
from imagestore_sim.scenario.format.steps import STEPS

SEEDS = range(60)
KNOWN = Known(["imagestore-1", "imagestore-2"], ["gold"], ["zone-1"], ["debian"], long_jobs=["download"])


@pytest.fixture(scope="module")
def stories() -> list[Content]:
    """Return some stories."""
    return [generate(seed) for seed in SEEDS]


[_ADD] = [one for one in drawable_calls() if one.__name__ == "APIAddImageStoreBackupStorageMsg"]


def is_valid(kind: type[AnyFault], parameters: Content) -> bool:
    """Return whether a kind of fault can have these parameters: choices of `when` exclude each other."""
    try:
        kind.model_validate(parameters)
    except ValueError:
        return False
    return True


def test_a_seed_gives_the_same_story_each_time(stories: list[Content]) -> None:
    assert [text_of(generate(seed)) for seed in SEEDS[:5]] == [text_of(one) for one in stories[:5]]
    assert len({text_of(one) for one in stories}) == len(stories)


def test_every_story_can_be_read_and_is_judged(stories: list[Content]) -> None:
    for story in stories:
        assert read(story).oracle


def test_every_kind_of_step_is_drawn_from_its_declaration(stories: list[Content]) -> None:
    acting = {name for name, model in STEPS.items() if not issubclass(model, Condition)} - {"program"}
    assert set(step_kinds(several=True)) == acting | {"fault", "settings", "read"}
    of_several = {name for name, model in STEPS.items() if issubclass(model, NodesStep)}
    assert set(step_kinds()) == set(step_kinds(several=True)) - of_several
    drawn = {step.kind for story in stories for step in read(story).timeline}
    rare = {"delete_image", "recover_image", "expunge_image", "sync_image", "export_image", "delete_export", "reclaim"}
    assert drawn >= set(step_kinds(several=True)) - rare - {"read"}
    assert not drawn & {"expect", "eventually", "stays", "never", "note"}


def test_every_kind_of_fault_can_be_drawn() -> None:
    random = Random(1)
    for kind in (*FAULTS.values(), *NODE_FAULTS.values()):
        schema = kind.model_json_schema(by_alias=True)
        assert any(is_valid(kind, draw_object(random, schema, schema.get("$defs", {}))) for _ in range(10)), kind.kind


def test_every_call_about_storages_and_images_can_be_drawn() -> None:
    random = Random(1)
    names = {message.__name__ for message in drawable_calls()}
    assert names >= {
        "APIAddImageStoreBackupStorageMsg",
        "APIChangeBackupStorageStateMsg",
        "APIDeleteBackupStorageMsg",
        "APIReconnectImageStoreBackupStorageMsg",
        "APIUpdateBackupStorageMsg",
        "APICancelLongJobMsg",
    }
    assert not names & {"APICreateAccountMsg", "APILogInByAccountMsg"}
    for message in drawable_calls():
        step = draw_call(random, message, KNOWN, "made")
        assert "{" not in step["path"], message.__name__


def test_a_call_that_is_about_nothing_yet_is_not_drawn() -> None:
    [message] = [one for one in drawable_calls() if one.__name__ == "APIExpungeImageMsg"]
    with pytest.raises(ValueError, match="there is no image yet"):
        draw_call(Random(1), message, Known(["imagestore-1"], [], [], []), "made")


def test_a_story_ends_with_everything_healed_and_time_to_get_well(stories: list[Content]) -> None:
    for story in stories:
        timeline = story["timeline"]
        [healing] = [number for number, step in enumerate(timeline) if step.get("title") == "heal everything"]
        tail = timeline[healing:]
        assert FEWEST <= len(timeline) <= 2 * MOST + 12  # with a look after each step
        assert {"heal": {"node": "all"}} in tail
        assert {"start": {"host": "*"}} in tail
        assert list(tail[-1]) == ["title", "wait"]
        changed = {name for step in timeline[:healing] for name in step.get("settings", {})}
        assert changed == {name for step in tail for name in step.get("settings", {})}


OF_SEVERAL = list(seeds_from(300, 200, NODES["several"]))


def waits(steps: list[Content]) -> bool:
    """Return whether steps pause a node without an end, and set a fault of the management plane."""
    stands_still = any("for" not in one.get("pause_node", "for") for one in steps)
    return stands_still and any("node" in one.get("fault", ()) for one in steps)


def test_a_node_that_stands_still_goes_on_before_it_is_healed() -> None:
    """Else the healing waits for it, and the next step for the healing: the story never ends."""
    drawn = {seed: generate(seed)["timeline"] for seed in OF_SEVERAL}
    waiting = {seed for seed, steps in drawn.items() if waits(steps)}
    assert waiting
    for seed, steps in drawn.items():
        began = next(number for number, step in enumerate(steps) if step.get("title") == "heal everything")
        assert (steps[began + 1] == {"resume_node": {}}) == (seed in waiting)
        assert steps[began + 1 + (seed in waiting)] == {"heal": {"node": "all"}}


@pytest.mark.thorough
def test_a_story_ends_in_which_a_node_stands_still_while_a_fault_is_set_on_it() -> None:
    outcome = play_seed(next(seed for seed in OF_SEVERAL if waits(generate(seed)["timeline"])))
    assert (outcome.problem, outcome.violations) == ("", ())


def test_adds_are_drawn_that_fail_and_reads_that_repeat(stories: list[Content]) -> None:
    calls = [[step["call"] for step in story["timeline"] if "call" in step] for story in stories]
    bodies = [body for of_story in calls for call in of_story for body in call.get("body", {}).values()]
    adds = [body for body in bodies if "hostname" in body]
    assert {"wrong", "password"} <= {one["password"] for one in adds}
    hosts = {draw_call(Random(seed), _ADD, KNOWN, "made")["body"]["params"]["hostname"] for seed in range(50)}
    assert hosts == {*KNOWN.hosts, "nowhere"}
    assert not [one for one in bodies if one.get("password") == "wrong" and one not in adds]
    reads = [[call["path"] for call in of_story if call["method"] == "GET"] for of_story in calls]
    assert any(len(one) > len(set(one)) + 3 for one in reads)


def before_healing(story: Content) -> list[Content]:
    """Return the steps that were drawn."""
    return list(takewhile(lambda step: step.get("title") != "heal everything", story["timeline"]))


def test_a_story_starts_the_node_a_few_times_at_the_most(stories: list[Content]) -> None:
    counts = [sum(bool(set(step) & set(STARTS)) for step in before_healing(story)) for story in stories]
    assert 1 < max(counts) <= MOST_STARTS


def test_a_swarm_leaves_much_out(stories: list[Content]) -> None:
    kinds = [{next(iter(set(step) - {"at", "title"})) for step in story["timeline"]} for story in stories]
    assert min(len(one) for one in kinds) < len(step_kinds()) / 3
