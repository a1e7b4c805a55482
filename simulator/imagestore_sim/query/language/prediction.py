"""Which way to go where one word does not tell: ANTLR's adaptive prediction, whose errors come where it finds no way
on (its SLL, then its LL mode)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from imagestore_sim.query.language.automaton import AUTOMATON, At, Bottom, Pending, Stack, State
from imagestore_sim.query.language.words import EOF

Ahead = Callable[[int], int]
Place = tuple[State, int, Stack]
"""Where a way could be: a state, the number of the way, and where its rules were come from."""
Places = dict[Place, bool]
"""With whether the rule that is decided in has been left by then."""
MOST_WORK = 100_000
"""How many places are looked at for one text; those of clients take some hundred."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The way to go, counted from 0; or None, and how many words ahead no way goes on."""

    way: int | None
    stuck: int = 0


@dataclass(slots=True, eq=False)
class _Look:
    """What is known after some words: the places, the one way left or whether they are in conflict, and what each kind
    of word makes of it."""

    places: Places
    way: int | None = None
    conflict: bool = False
    after: dict[int, _Look] = field(default_factory=dict)


_BEGUN: dict[tuple[State, int], _Look] = {}
"""What each decision begins with; the few that ever come up stay."""
MOST_KEPT = 10_000
_kept = count()


class Predictor:
    """Predicts for one text, of which `ahead` gives the kind of a word, counted from 0.

    Where several ways are in conflict, what follows may show that they lead nowhere. Only if it is `exact` it looks
    that far: a mistake shows there or later, in other words.
    """

    def __init__(self, ahead: Ahead, *, exact: bool) -> None:
        self._ahead = ahead
        self._exact = exact
        self._work = MOST_WORK

    def predict(self, state: State, stack: Stack, precedence: int) -> Prediction:
        """The first way that what comes next fits, from a decision."""
        look = _BEGUN.get((state, precedence))
        if look is None:
            look = _BEGUN[state, precedence] = _Look(_begin(state, Bottom.ANYTHING, precedence))
        at = 0
        while True:
            kind = self._ahead(at)
            reached = look.after.get(kind) or self._look_on(look, kind)
            if not reached.places:
                return _stuck(look.places, at)
            if reached.way is not None:
                return Prediction(reached.way)
            if reached.conflict:
                return self._predict_fully(state, stack, precedence) if self._exact else Prediction(_first(reached))
            look = reached
            at += kind != EOF

    def _look_on(self, look: _Look, kind: int) -> _Look:
        places = self._reach(look.places, kind, full=False)
        ways = {way for _, way, _ in places}
        reached = _Look(places, ways.pop() if len(ways) == 1 else None, bool(places) and _is_conflict(places))
        if next(_kept) < MOST_KEPT:
            look.after[kind] = reached
        return reached

    def _predict_fully(self, state: State, stack: Stack, precedence: int) -> Prediction:
        """The same, with what follows the rules that are being read."""
        if self._work <= 0:
            return Prediction(0)  # the first way is the one that ANTLR takes wherever several fit
        places = _begin(state, stack, precedence)
        self._work -= len(places)
        at = 0
        while self._work > 0:
            kind = self._ahead(at)
            reached = self._reach(places, kind, full=True)
            if not reached:
                return _stuck(places, at)
            ways = {way for _, way, _ in reached}
            least = {min(alike) for alike in _alike(reached).values()}
            if len(ways) == 1 or len(least) == 1:
                return Prediction(min(ways) if len(ways) == 1 else least.pop())
            places = reached
            at += kind != EOF
        return Prediction(0)

    def _reach(self, places: Places, kind: int, *, full: bool) -> Places:
        reached = _reach(places, kind, full=full)
        self._work -= len(places) + len(reached)
        return reached


def _first(look: _Look) -> int:
    return min(way for _, way, _ in look.places)


def _stuck(places: Places, at: int) -> Prediction:
    ended = [
        way
        for (state, way, stack), left in places.items()
        if left or (state.at is At.STOP and isinstance(stack, Bottom))
    ]
    return Prediction(min(ended)) if ended else Prediction(None, at)


def _begin(state: State, stack: Stack, precedence: int) -> Places:
    found: Places = {}
    for way, edge in enumerate(state.edges):
        if edge.above is None or edge.above >= precedence:
            _close([((edge.target, way, stack), False)], found, full=stack is not Bottom.ANYTHING, at_end=False)
    return found


def _reach(places: Places, kind: int, *, full: bool) -> Places:
    """The places after one more word."""
    moved: list[tuple[Place, bool]] = []
    ended: Places = {}
    for (state, way, stack), left in places.items():
        if state.at is At.STOP:
            if full or kind == EOF:
                ended[state, way, stack] = left
            continue
        moved += [
            ((edge.target, way, stack), left) for edge in state.edges if edge.kinds is not None and kind in edge.kinds
        ]
    found: Places = {}
    _close(moved, found, full=full, at_end=kind == EOF)
    if kind == EOF:
        found = {place: left for place, left in found.items() if place[0].at is At.STOP}
    if ended and (not full or not any(place[0].at is At.STOP for place in found)):
        found |= ended
    return found


def _close(places: Iterable[tuple[Place, bool]], found: Places, *, full: bool, at_end: bool) -> None:
    """Add the places where a word is next that can be come to without one. At the end of the text the end itself is no
    word."""
    waiting = list(places)
    passed: Places = {}
    while waiting:
        place, left = waiting.pop()
        if place in passed and passed[place] >= left:
            continue
        passed[place] = left
        state, way, stack = place
        if state.at is At.STOP:
            if isinstance(stack, Pending):
                waiting.append(((stack.state, way, stack.above), left))
            elif full or not AUTOMATON.followers[state.rule]:
                found[place] = found.get(place, False) or left
            else:
                waiting += [((follower, way, stack), True) for follower in AUTOMATON.followers[state.rule]]
            continue
        for edge in state.edges:
            if edge.kinds is not None:
                found[place] = found.get(place, False) or left
                if at_end and EOF in edge.kinds:
                    waiting.append(((edge.target, way, stack), left))
            else:
                above = stack if edge.follow is None else Pending(edge.follow, stack)
                waiting.append(((edge.target, way, above), left))


def _alike(places: Places) -> dict[tuple[State, Stack], set[int]]:
    """The ways that have come to the same place."""
    found: dict[tuple[State, Stack], set[int]] = {}
    for state, way, stack in places:
        found.setdefault((state, stack), set()).add(way)
    return found


def _is_conflict(places: Places) -> bool:
    """Whether several ways have come to the same places, so that no further word will part them without knowing more
    of where they come from."""
    if all(state.at is At.STOP for state, _, _ in places):
        return True
    by_state: dict[State, set[int]] = {}
    for state, way, _ in places:
        by_state.setdefault(state, set()).add(way)
    return any(len(ways) > 1 for ways in _alike(places).values()) and all(len(ways) > 1 for ways in by_state.values())
