"""Choose between alternatives where one token does not decide: ANTLR's adaptive prediction (SLL, then LL mode).

ANTLR reports an error at the token where no alternative is left, so the prediction must fail at the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from imagestore_sim.query.language.automaton import AUTOMATON, Bottom, Pending, Stack, State, StateKind
from imagestore_sim.query.language.tokens import EOF

Ahead = Callable[[int], int]
Config = tuple[State, int, Stack]
"""ANTLR's configuration: a state, the number of the alternative, and the return states."""
Configs = dict[Config, bool]
"""Configurations, each with whether it has left the rule of the decision."""
MOST_CONFIGS = 100_000
"""The limit of configurations for one text; those of real clients take some hundred."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The alternative to take, from 0; or None, and how many tokens ahead none is left."""

    alt: int | None
    failed_at: int = 0


@dataclass(slots=True, eq=False)
class _Look:
    """A state of ANTLR's lookahead DFA: configurations after some tokens, and the states that follow by token kind.

    `alt` is the alternative if only one is left; `conflict` says that more tokens alone cannot
    decide, without the outer rules.
    """

    configs: Configs
    alt: int | None = None
    conflict: bool = False
    after: dict[int, _Look] = field(default_factory=dict)


_START: dict[tuple[State, int], _Look] = {}
"""The first state of each decision; there are few, and they are kept for the life of the process."""
MOST_KEPT = 10_000
_kept = count()


class Predictor:
    """Predicts alternatives for one text; `ahead` returns the kind of the n-th next token, from 0.

    If alternatives conflict, an `exact` predictor looks further with the outer rules, as ANTLR's LL mode does, which
    decides where an error is reported; otherwise it takes the first alternative.
    """

    def __init__(self, ahead: Ahead, *, exact: bool) -> None:
        self._ahead = ahead
        self._exact = exact
        self._work = MOST_CONFIGS

    def predict(self, state: State, stack: Stack, precedence: int) -> Prediction:
        """Return the first alternative of a decision that matches the next tokens."""
        look = _START.get((state, precedence))
        if look is None:
            look = _START[state, precedence] = _Look(_start_configs(state, Bottom.ANYTHING, precedence))
        at = 0
        while True:
            kind = self._ahead(at)
            reached = look.after.get(kind) or self._look_on(look, kind)
            if not reached.configs:
                return _failed(look.configs, at)
            if reached.alt is not None:
                return Prediction(reached.alt)
            if reached.conflict:
                return self._predict_fully(state, stack, precedence) if self._exact else Prediction(_first(reached))
            look = reached
            at += kind != EOF

    def _look_on(self, look: _Look, kind: int) -> _Look:
        configs = self._reach(look.configs, kind, full=False)
        alts = {alt for _, alt, _ in configs}
        reached = _Look(
            configs,
            alts.pop() if len(alts) == 1 else None,
            bool(configs) and _is_conflict(configs),
        )
        if next(_kept) < MOST_KEPT:
            look.after[kind] = reached
        return reached

    def _predict_fully(self, state: State, stack: Stack, precedence: int) -> Prediction:
        """Predict with the return states of the outer rules (ANTLR's LL mode)."""
        if self._work <= 0:
            return Prediction(0)  # of several alternatives that match, ANTLR takes the first
        configs = _start_configs(state, stack, precedence)
        self._work -= len(configs)
        at = 0
        while self._work > 0:
            kind = self._ahead(at)
            reached = self._reach(configs, kind, full=True)
            if not reached:
                return _failed(configs, at)
            alts = {alt for _, alt, _ in reached}
            least = {min(alike) for alike in _alike(reached).values()}
            if len(alts) == 1 or len(least) == 1:
                return Prediction(min(alts) if len(alts) == 1 else least.pop())
            configs = reached
            at += kind != EOF
        return Prediction(0)

    def _reach(self, configs: Configs, kind: int, *, full: bool) -> Configs:
        reached = _reach(configs, kind, full=full)
        self._work -= len(configs) + len(reached)
        return reached


def _first(look: _Look) -> int:
    return min(alt for _, alt, _ in look.configs)


def _failed(configs: Configs, at: int) -> Prediction:
    ended = [
        alt
        for (state, alt, stack), left in configs.items()
        if left or (state.kind is StateKind.STOP and isinstance(stack, Bottom))
    ]
    return Prediction(min(ended)) if ended else Prediction(None, at)


def _start_configs(state: State, stack: Stack, precedence: int) -> Configs:
    found: Configs = {}
    for alt, edge in enumerate(state.edges):
        if edge.above is None or edge.above >= precedence:
            _close([((edge.target, alt, stack), False)], found, full=stack is not Bottom.ANYTHING, at_end=False)
    return found


def _reach(configs: Configs, kind: int, *, full: bool) -> Configs:
    """Return the configurations after one more token."""
    moved: list[tuple[Config, bool]] = []
    ended: Configs = {}
    for (state, alt, stack), left in configs.items():
        if state.kind is StateKind.STOP:
            if full or kind == EOF:
                ended[state, alt, stack] = left
            continue
        moved += [
            ((edge.target, alt, stack), left) for edge in state.edges if edge.kinds is not None and kind in edge.kinds
        ]
    found: Configs = {}
    _close(moved, found, full=full, at_end=kind == EOF)
    if kind == EOF:
        found = {config: left for config, left in found.items() if config[0].kind is StateKind.STOP}
    if ended and (not full or not any(config[0].kind is StateKind.STOP for config in found)):
        found |= ended
    return found


def _close(configs: Iterable[tuple[Config, bool]], found: Configs, *, full: bool, at_end: bool) -> None:
    """Add to `found` the configurations before a token that are reachable without consuming one (epsilon closure).

    At the end of the text, EOF does not count as a token.
    """
    waiting = list(configs)
    passed: Configs = {}
    while waiting:
        config, left = waiting.pop()
        if config in passed and passed[config] >= left:
            continue
        passed[config] = left
        state, alt, stack = config
        if state.kind is StateKind.STOP:
            if isinstance(stack, Pending):
                waiting.append(((stack.state, alt, stack.above), left))
            elif full or not AUTOMATON.followers[state.rule]:
                found[config] = found.get(config, False) or left
            else:
                waiting += [((follower, alt, stack), True) for follower in AUTOMATON.followers[state.rule]]
            continue
        for edge in state.edges:
            if edge.kinds is not None:
                found[config] = found.get(config, False) or left
                if at_end and EOF in edge.kinds:
                    waiting.append(((edge.target, alt, stack), left))
            else:
                above = stack if edge.follow is None else Pending(edge.follow, stack)
                waiting.append(((edge.target, alt, above), left))


def _alike(configs: Configs) -> dict[tuple[State, Stack], set[int]]:
    """Return the alternatives of each state with the same return states."""
    found: dict[tuple[State, Stack], set[int]] = {}
    for state, alt, stack in configs:
        found.setdefault((state, stack), set()).add(alt)
    return found


def _is_conflict(configs: Configs) -> bool:
    """Return whether alternatives share their states, so that more tokens cannot decide between them in SLL mode."""
    if all(state.kind is StateKind.STOP for state, _, _ in configs):
        return True
    by_state: dict[State, set[int]] = {}
    for state, alt, _ in configs:
        by_state.setdefault(state, set()).add(alt)
    return any(len(alts) > 1 for alts in _alike(configs).values()) and all(len(alts) > 1 for alts in by_state.values())
