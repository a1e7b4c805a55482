"""Shrinks a failing story to the fewest steps, the roundest times and the plainest order, with Hypothesis.

Whole spans of the timeline go first: halves, quarters, single steps, for as long as the story still fails. Then the
order goes, and what else a story may do without, each as a whole; of an order that stays, spans of its draws go in the
same way. Whatever could be simpler in what is left is a choice then: whether a step or a parameter is there, how round
a time is. Hypothesis begins with the choices that make the story as it is, and simplifies them, for five minutes at
most. No story is played twice.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import Phase, Verbosity, find, settings
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes
from hypothesis.errors import NoSuchExample

from imagestore_sim.explore.story import Content, key_of
from imagestore_sim.units import duration_text, parse_seconds

KEY = b"a failing story"
NOT_YET_SHRUNK = KEY + b".secondary"
"""Where Hypothesis looks for what fails and is not the simplest yet; what is under the key itself it takes as it is."""
ROUND = (60.0, 10.0, 1.0)
"""Seconds of which the time of a step may be a multiple."""
MOST_RUNS = 400
"""Stories that are played at most to shrink one."""
OPTIONAL_KEYS = ("order", "imageSources", "settings", "seed")
"""What a story may do without."""
Fails = Callable[[Content], bool]
"""Plays a story, and returns whether it fails as the first one did."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The simplest story found that fails, and how many were played on the way."""

    story: Content
    runs: int


@dataclass(frozen=True, slots=True)
class _Choice:
    """A place in a story, and how many forms it has: the last one is that of the story itself, 0 the simplest."""

    place: tuple[str | int, ...]
    forms: int = 2


def shrink(
    story: Content, fails: Fails, most_runs: int = MOST_RUNS, stop: Callable[[], bool] = lambda: False
) -> Shrunk:
    """Return the simplest story that fails, at least as simple as `story`, which does. `stop` ends it early."""
    played: dict[bytes, bool] = {key_of(story): True}

    def still_fails(candidate: Content) -> bool:
        key = key_of(candidate)
        if key not in played:
            played[key] = len(played) <= most_runs and not stop() and bool(candidate["timeline"]) and fails(candidate)
        return played[key]

    story = _without_optional(_without_spans(story, still_fails), still_fails)
    story = _without_draws(story, still_fails)
    details = [_of_step(number, step) for number, step in enumerate(story["timeline"])]
    return Shrunk(_simplify(story, [*details, list(_of_rest(story))], still_fails), len(played) - 1)


def _without_spans(story: Content, still_fails: Fails) -> Content:
    """Return the story without the spans of its timeline that the failure does not need: longer ones are tried first.

    The details of steps that go need no look. Once a step has gone, those before it may be needless, too.
    """

    def without(steps: range, story: Content) -> Content:
        timeline = story["timeline"]
        return _renumbered({**story, "timeline": [*timeline[: steps.start], *timeline[steps.stop :]]}, steps)

    return _shortened(story, lambda story: len(story["timeline"]), without, still_fails)


def _without_draws(story: Content, still_fails: Fails) -> Content:
    """Return the story without the spans of its order's draws that the failure does not need, as those of a timeline.

    An order may have a hundred draws of which one matters. As choices they take longer to go than Hypothesis tries.
    """

    def draws(story: Content) -> list[tuple[str, int | str]]:
        kinds = story.get("order", {}).items()
        return [(kind, name) for kind, pins in kinds if isinstance(pins, dict) for name in pins]

    def without(gone: range, story: Content) -> Content:
        names = set(draws(story)[gone.start : gone.stop])
        order = {
            kind: {name: drawn for name, drawn in pins.items() if (kind, name) not in names}
            if isinstance(pins, dict)
            else pins
            for kind, pins in story["order"].items()
        }
        return {**story, "order": {kind: pins for kind, pins in order.items() if pins != {}}}

    return _shortened(story, lambda story: len(draws(story)), without, still_fails)


def _shortened(
    story: Content,
    length_of: Callable[[Content], int],
    without: Callable[[range, Content], Content],
    still_fails: Fails,
) -> Content:
    """Return the story without the spans of something in it that the failure does not need; longer ones go first.

    Once one has gone, those before it may be needless, too.
    """
    length = length_of(story)
    while length:
        before = length_of(story)
        length = min(length, before)
        for first in range((before - 1) // length * length, -1, -length):  # the last ones first: they heal
            candidate = without(range(first, min(first + length, length_of(story))), story)
            if still_fails(candidate):
                story = candidate
        if length > 1 or length_of(story) == before:
            length //= 2
    return story


def _without_optional(story: Content, still_fails: Fails) -> Content:
    """Return the story without what the failure does not need of OPTIONAL_KEYS.

    An order may have a hundred draws. As choices they take longer to go, one by one, than Hypothesis tries.
    """
    for name in OPTIONAL_KEYS:
        candidate = {key: value for key, value in story.items() if key != name}
        if name in story and still_fails(candidate):
            story = candidate
    return story


def _simplify(story: Content, parts: Sequence[Sequence[_Choice]], still_fails: Fails) -> Content:
    """Return the story of the simplest choices that fails."""

    def fails_with(chosen: Sequence[Sequence[int]]) -> bool:
        return still_fails(_apply(story, parts, chosen))

    strategy = _nested([_part(part) for part in parts]).map(_flatten)
    database = InMemoryExampleDatabase()
    database.save(NOT_YET_SHRUNK, choices_to_bytes([one.forms - 1 for part in parts for one in part]))
    chosen_settings = settings(
        database=database, phases=(Phase.reuse, Phase.shrink), deadline=None, verbosity=Verbosity.quiet
    )
    try:
        chosen = find(strategy, fails_with, settings=chosen_settings, database_key=KEY)
    except NoSuchExample:
        return story
    return _apply(story, parts, chosen)


# The choices


def _of_step(number: int, step: Content) -> list[_Choice]:
    """Return the choices of a step: whether it is there, how round its time is, and which parameters it has."""
    place = ("timeline", number)
    choices = [_Choice(place)]
    if "at" in step:
        choices.append(_Choice((*place, "at"), len(ROUND) + 2))
    return choices + [_Choice((*place, *one)) for one in _inner(step)]


def _inner(value: Any) -> Iterator[tuple[str, ...]]:
    """Yield the places of the parameters of a step, at whatever depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "at":
                continue
            yield (name,)
            yield from ((name, *place) for place in _inner(inner))


def _of_rest(story: Content) -> Iterator[_Choice]:
    """Yield the choices of all but the timeline."""
    yield from (_Choice((name,)) for name in OPTIONAL_KEYS if name in story)
    yield from (_Choice(("settings", name)) for name in story.get("settings", ()))
    for name, host in story["hosts"].items():
        yield _Choice(("hosts", name))
        yield from (_Choice(("hosts", name, key)) for key in host)
    yield from (_Choice(("storages", number)) for number in range(len(story.get("storages", ()))))
    for kind, pins in story.get("order", {}).items():
        if isinstance(pins, dict):
            yield from (_Choice(("order", kind, number)) for number in pins)


def _part(choices: Sequence[_Choice]) -> st.SearchStrategy[Any]:
    return st.tuples(*(st.integers(0, one.forms - 1) for one in choices))


def _nested(parts: Sequence[st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Return halves of halves of the parts, so that whole halves can be dropped at once."""
    if len(parts) == 1:
        return st.tuples(st.just(True), parts[0])
    middle = len(parts) // 2
    return st.tuples(st.just(False), _nested(parts[:middle]), _nested(parts[middle:]))


def _flatten(chosen: tuple[Any, ...]) -> list[Sequence[int]]:
    if chosen[0]:
        return [chosen[1]]
    return [*_flatten(chosen[1]), *_flatten(chosen[2])]


# What they make of a story


def _apply(story: Content, parts: Sequence[Sequence[_Choice]], chosen: Sequence[Sequence[int]]) -> Content:
    """Return the story that the choices make."""
    made = copy.deepcopy(story)
    gone: list[tuple[Any, str | int]] = []
    for choices, forms in zip(parts, chosen, strict=True):
        for choice, form in zip(choices, forms, strict=True):
            if choice.forms == 2 and form == 0:
                gone.append((_holder(made, choice.place), choice.place[-1]))
            elif choice.place[-1] == "at":
                _round(made["timeline"][choice.place[1]], form)
    for holder, key in reversed(gone):  # the later ones first: numbers of a list stay right
        del holder[key]
    return _in_order(_renumbered(made, [int(key) for holder, key in gone if holder is made["timeline"]]))


def _renumbered(story: Content, gone: Collection[int]) -> Content:
    """Return a story whose order names its draws by the steps that are left; `gone`: the indexes of the others.

    A draw that came after a step that is gone comes after the one before that now, with another number there: as good
    as any other.
    """
    if not gone or "order" not in story:
        return story

    def name(key: int | str) -> int | str:
        step, _, rest = str(key).partition(" ")
        return key if isinstance(key, int) else f"{int(step) - sum(one < int(step) for one in gone)} {rest}"

    order = {
        kind: {name(key): pick for key, pick in pins.items()} if isinstance(pins, dict) else pins
        for kind, pins in story["order"].items()
    }
    return {**story, "order": order}


def _holder(content: Any, place: Sequence[str | int]) -> Any:
    for key in place[:-1]:
        content = content[key]
    return content


def _round(step: Content, form: int) -> None:
    """Round the time of a step: form 0 has none, so that it follows the step before at once."""
    if form == 0:
        del step["at"]
    elif form <= len(ROUND):
        unit = ROUND[form - 1]
        step["at"] = duration_text(parse_seconds(step["at"]) // unit * unit)


def _in_order(story: Content) -> Content:
    """Return a story in which no time goes back because it was rounded."""
    earliest = 0.0
    for step in story["timeline"]:
        if "at" in step:
            earliest = max(earliest, parse_seconds(step["at"]))
            step["at"] = duration_text(earliest)
    return story
