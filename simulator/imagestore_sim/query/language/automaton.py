"""The grammar as ANTLR's augmented transition network: states, edges, and the tokens that may come next in a state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from itertools import pairwise

from imagestore_sim.query.language.grammar import GRAMMAR, Choice, LeftRecursive, Part, Ref, Repeat, Sequence, TokenSet
from imagestore_sim.query.language.tokens import EOF

END_OF_RULE = -1
"""ANTLR's epsilon: the rule may end here, and the caller has not said what follows it."""


class StateKind(Enum):
    """What the parser does in a state besides following its edge."""

    STEP = "step"
    STOP = "stop"
    CHOICE = "choice"
    """Choose one of the edges."""
    LOOP = "loop"
    """Enter a `*` loop: the first edge begins a round, the second leaves the loop."""
    BODY = "body"
    """Enter a `+` loop, whose first round is mandatory."""
    AGAIN = "again"
    """After a round: choose between the edges of the state `decides`, as for LOOP."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition: over a token of `kinds`, over a rule and back to `follow`, or (without both) over nothing.

    `above` is the precedence of an operator in a left-recursive rule: at least that of the rule being parsed.
    """

    target: State
    kinds: frozenset[int] | None = None
    follow: State | None = None
    precedence: int = 0
    above: int | None = None


@dataclass(eq=False, slots=True)
class State:
    """A state within a rule."""

    rule: str
    kind: StateKind = StateKind.STEP
    edges: list[Edge] = field(default_factory=list)
    decides: State | None = None
    wraps: bool = False
    """Whether a further round wraps what was parsed so far as the first part of the same rule (left recursion)."""
    single: tuple[frozenset[int], ...] | None = None
    """The kinds of token that each edge begins with, if no two edges share one: then one token decides."""


class Pending:
    """A stack of return states: where to continue after the rule being parsed, above those of the outer rules.

    Stacks of the same states are equal. The hash is computed once, since stacks may be deep.
    """

    __slots__ = ("_hash", "above", "state")

    def __init__(self, state: State, above: Stack) -> None:
        self.state = state
        self.above = above
        self._hash = hash((state, above))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        one: Stack | object = self
        while isinstance(one, Pending) and isinstance(other, Pending) and one is not other:
            if one._hash != other._hash or one.state is not other.state:
                return False
            one, other = one.above, other.above
        return one is other


class Bottom(Enum):
    """The bottom of a stack: the end of the text, or any context."""

    END = "end"
    ANYTHING = "anything"


Stack = Pending | Bottom
"""The return states of the rules being parsed, the innermost first."""


class Automaton:
    """The states of all rules."""

    def __init__(self, rules: Mapping[str, Part]) -> None:
        self.begins = {name: State(name) for name in rules}
        self.ends = {name: State(name, StateKind.STOP) for name in rules}
        self.followers: dict[str, list[State]] = {name: [] for name in rules}
        self.states: list[State] = []
        for name, part in rules.items():
            begin, end = self._build(part, name)
            self.begins[name].edges.append(Edge(begin))
            end.edges.append(Edge(self.ends[name]))
        for state in self.states:
            if state.kind in (StateKind.CHOICE, StateKind.LOOP) or (
                state.kind is StateKind.AGAIN and state.decides is state
            ):
                state.single = self._disjoint(state)

    def _state(self, rule: str, at: StateKind = StateKind.STEP) -> State:
        state = State(rule, at)
        self.states.append(state)
        return state

    def _build(self, part: Part, rule: str) -> tuple[State, State]:
        """Build the states of a part; return its first and its last state."""
        match part:
            case TokenSet(kinds):
                begin, end = self._state(rule), self._state(rule)
                begin.edges.append(Edge(end, kinds=kinds))
                return begin, end
            case Ref(name, precedence):
                begin, end = self._state(rule), self._state(rule)
                begin.edges.append(Edge(self.begins[name], follow=end, precedence=precedence))
                self.followers[name].append(end)
                return begin, end
            case Sequence(parts):
                built = [self._build(one, rule) for one in parts]
                for (_, end), (begin, _) in pairwise(built):
                    end.edges.append(Edge(begin))
                return built[0][0], built[-1][1]
            case Choice(options):
                begin, end = self._state(rule, StateKind.CHOICE), self._state(rule)
                for option in options:
                    self._route(begin, option, end, rule)
                return begin, end
            case Repeat("?", inner):
                begin, end = self._state(rule, StateKind.CHOICE), self._state(rule)
                self._route(begin, inner, end, rule)
                begin.edges.append(Edge(end))
                return begin, end
            case Repeat("*", inner):
                return self._star(inner, rule)
            case Repeat(_, inner):
                begin, again, end = (
                    self._state(rule, StateKind.BODY),
                    self._state(rule, StateKind.AGAIN),
                    self._state(rule),
                )
                self._route(begin, inner, again, rule)
                again.decides = again
                again.edges += [Edge(begin.edges[0].target), Edge(end)]
                return begin, end
            case LeftRecursive(first, following, precedence):
                begin, first_end = self._build(first, rule)
                loop, end = self._star(following, rule, above=precedence)
                first_end.edges.append(Edge(loop))
                return begin, end

    def _star(self, inner: Part, rule: str, above: int | None = None) -> tuple[State, State]:
        loop, again, end = self._state(rule, StateKind.LOOP), self._state(rule, StateKind.AGAIN), self._state(rule)
        loop.wraps = above is not None
        self._route(loop, inner, again, rule, above)
        loop.edges.append(Edge(end))
        again.decides = loop
        again.edges.append(Edge(loop))
        return loop, end

    def _route(self, begin: State, part: Part, end: State, rule: str, above: int | None = None) -> None:
        first, last = self._build(part, rule)
        begin.edges.append(Edge(first, above=above))
        last.edges.append(Edge(end))

    def _disjoint(self, state: State) -> tuple[frozenset[int], ...] | None:
        seen: set[int] = set()
        found = []
        for edge in state.edges:
            kinds = self._look(edge.target, everywhere=True)
            if not kinds or edge.above is not None or seen & kinds:
                return None
            seen |= kinds
            found.append(kinds)
        return tuple(found)

    @cache  # noqa: B019 - the automaton is made once
    def next_tokens(self, state: State) -> frozenset[int]:
        """Return the kinds of token that may come next in a state, with END_OF_RULE if its rule may end there."""
        return self._look(state)

    def next_tokens_within(self, state: State, stack: Stack) -> frozenset[int]:
        """Return the kinds of token that may come next in a state, given the return states of the outer rules."""
        return self._look(state, stack)

    def expected_tokens(self, state: State, stack: Stack) -> frozenset[int]:
        """Return the tokens that may come next, also after rules that may end; with EOF if all outer rules may."""
        following = self.next_tokens(state)
        found = following - {END_OF_RULE}
        while isinstance(stack, Pending) and END_OF_RULE in following:
            following = self.next_tokens(stack.state)
            found |= following - {END_OF_RULE}
            stack = stack.above
        return found | {EOF} if END_OF_RULE in following else found

    def _look(self, state: State, stack: Stack = Bottom.ANYTHING, *, everywhere: bool = False) -> frozenset[int]:
        """Find the next kinds of token; `everywhere` continues after the end of a rule at each of its references."""
        found: set[int] = set()
        seen: set[tuple[State, Stack]] = set()
        left: list[tuple[State, Stack]] = [(state, stack)]
        while left:
            configuration = left.pop()
            if configuration in seen:
                continue
            seen.add(configuration)
            here, above = configuration
            if here.kind is StateKind.STOP:
                if isinstance(above, Pending):
                    left.append((above.state, above.above))
                elif above is Bottom.END:
                    found.add(EOF)
                elif everywhere:
                    left += [(follower, above) for follower in self.followers[here.rule]]
                else:
                    found.add(END_OF_RULE)
                continue
            for edge in here.edges:
                if edge.kinds is not None:
                    found |= edge.kinds
                elif edge.follow is None:
                    left.append((edge.target, above))
                elif not _is_in(edge.follow, above):
                    left.append((edge.target, Pending(edge.follow, above)))
        return frozenset(found)


def _is_in(state: State, stack: Stack) -> bool:
    while isinstance(stack, Pending):
        if stack.state is state:
            return True
        stack = stack.above
    return False


AUTOMATON = Automaton(GRAMMAR)
