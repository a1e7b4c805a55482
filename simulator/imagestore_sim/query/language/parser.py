"""Parse a text into a tree of rules, or raise the first error that ANTLR's parser would report."""

from __future__ import annotations

from dataclasses import dataclass

from imagestore_sim.query.errors import QueryError
from imagestore_sim.query.language.automaton import (
    AUTOMATON,
    END_OF_RULE,
    Bottom,
    Edge,
    Pending,
    Stack,
    State,
    StateKind,
)
from imagestore_sim.query.language.errors import syntax_error
from imagestore_sim.query.language.prediction import Predictor
from imagestore_sim.query.language.tokens import DISPLAY_NAMES, EOF, TokenStream, quote
from imagestore_sim.query.language.tree import Tree


@dataclass(slots=True)
class _Frame:
    """A rule being parsed, its precedence, and the state to return to."""

    tree: Tree
    precedence: int
    follow: State | None


def parse(text: str) -> Tree:
    """Parse a text. Raise QueryError with ANTLR's wording.

    The fast prediction may fail on a valid text, or report an error elsewhere: then parse again with the exact one.
    """
    try:
        return _Parser(text, exact=False).parse()
    except QueryError:
        return _Parser(text, exact=True).parse()


class _Parser:
    def __init__(self, text: str, *, exact: bool) -> None:
        self._text = text
        self._tokens = TokenStream(text)
        self._stack: Stack = Bottom.END
        self._predictor = Predictor(lambda ahead: self._tokens.peek(ahead).kind, exact=exact)
        self._frames = [_Frame(Tree("zqls"), 0, None)]

    def parse(self) -> Tree:
        state: State | None = AUTOMATON.begins["zqls"]
        whole = self._frames[0].tree
        while state is not None:
            match state.kind:
                case StateKind.STOP:
                    state = self._leave()
                case StateKind.CHOICE | StateKind.LOOP:
                    self._sync(state)
                    state = self._decide(state)
                case StateKind.BODY:
                    self._sync(state)
                    state = state.edges[0].target
                case StateKind.AGAIN:
                    assert state.decides is not None
                    self._sync(state)
                    state = self._decide(state.decides)
                case StateKind.STEP:
                    state = self._step(state, state.edges[0])
        return whole

    def _step(self, state: State, edge: Edge) -> State:
        if edge.kinds is not None:
            self._match(state, edge)
        elif edge.follow is not None:
            tree = Tree(edge.target.rule)
            self._frames[-1].tree.parts.append(tree)
            self._frames.append(_Frame(tree, edge.precedence, edge.follow))
            self._stack = Pending(edge.follow, self._stack)
        return edge.target

    def _leave(self) -> State | None:
        frame = self._frames.pop()
        if frame.follow is not None:
            assert isinstance(self._stack, Pending)
            self._stack = self._stack.above
        return frame.follow

    def _decide(self, state: State) -> State:
        if state.single is not None:
            alt = self._alt_by_one_token(state, state.single)
        else:
            found = self._predictor.predict(state, self._stack, self._frames[-1].precedence)
            if found.alt is None:
                raise self._no_viable_alternative(found.failed_at)
            alt = found.alt
        if state.wraps and alt == 0:
            self._wrap()
        return state.edges[alt].target

    def _alt_by_one_token(self, state: State, single: tuple[frozenset[int], ...]) -> int:
        kind = self._tokens.peek().kind
        for alt, kinds in enumerate(single):
            if kind in kinds:
                return alt
        if state.kind is StateKind.CHOICE and state.edges[-1].target.kind is not StateKind.STEP:
            raise self._no_viable_alternative(0)
        return len(single) - 1

    def _wrap(self) -> None:
        """Make what was parsed of the rule so far the first part of the same rule."""
        tree = self._frames[-1].tree
        tree.parts = [Tree(tree.rule, tree.parts)]

    def _match(self, state: State, edge: Edge) -> None:
        assert edge.kinds is not None
        token = self._tokens.peek()
        if token.kind not in edge.kinds:
            raise self._mismatch(state, edge)
        self._frames[-1].tree.parts.append(token)
        if token.kind != EOF:
            self._tokens.advance()

    def _sync(self, state: State) -> None:
        """Check that the next token is possible in a state, as ANTLR's sync() does. Raise QueryError."""
        kinds = AUTOMATON.next_tokens(state)
        if self._tokens.peek().kind in kinds or END_OF_RULE in kinds:
            return
        if state.kind is StateKind.AGAIN:
            raise self._unwanted(state)
        self._delete_one(state)
        raise self._mismatched(state)

    def _mismatch(self, state: State, edge: Edge) -> QueryError:
        self._delete_one(state)
        if self._tokens.peek().kind in AUTOMATON.next_tokens_within(edge.target, self._stack):
            expected = _display(AUTOMATON.expected_tokens(state, self._stack))
            return self._error(f"missing {expected} at {self._tokens.peek().quoted()}")
        return self._mismatched(state)

    def _delete_one(self, state: State) -> None:
        """Raise QueryError if deleting the next token would repair the text (ANTLR's single-token deletion)."""
        if self._tokens.peek(1).kind in AUTOMATON.expected_tokens(state, self._stack):
            raise self._unwanted(state)

    def _mismatched(self, state: State) -> QueryError:
        expected = _display(AUTOMATON.expected_tokens(state, self._stack))
        return self._error(f"mismatched input {self._tokens.peek().quoted()} expecting {expected}")

    def _unwanted(self, state: State) -> QueryError:
        expected = _display(AUTOMATON.expected_tokens(state, self._stack))
        return self._error(f"extraneous input {self._tokens.peek().quoted()} expecting {expected}")

    def _no_viable_alternative(self, failed_at: int) -> QueryError:
        tokens = [self._tokens.peek(ahead) for ahead in range(failed_at + 1)]
        if tokens[0].kind == EOF:
            quoted = "<EOF>"
        else:
            quoted = "".join(token.text for token in tokens if token.kind != EOF)
            self._tokens.read_all()
        return syntax_error(self._text, tokens[-1].at, f"no viable alternative at input {quote(quoted)}")

    def _error(self, message: str) -> QueryError:
        return syntax_error(self._text, self._tokens.peek().at, message)


def _display(kinds: frozenset[int]) -> str:
    names = [DISPLAY_NAMES[kind] for kind in sorted(kinds)]
    return names[0] if len(names) == 1 else f"{{{', '.join(names)}}}"
