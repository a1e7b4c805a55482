"""A text read by the rules, into a tree of them; or the error that ANTLR's parser makes of it, the first one alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from imagestore_sim.query.errors import QueryError
from imagestore_sim.query.language.automaton import AUTOMATON, END_OF_RULE, At, Bottom, Edge, Pending, Stack, State
from imagestore_sim.query.language.errors import syntax_error
from imagestore_sim.query.language.prediction import Predictor
from imagestore_sim.query.language.words import DISPLAYED, EOF, Word, quote, read


@dataclass(slots=True)
class Tree:
    """A rule with what was read by it, in turn."""

    rule: str
    parts: list[Tree | Word] = field(default_factory=list)

    def first(self, rule: str) -> Tree | None:
        """The first part by a rule."""
        return next(self.all(rule), None)

    def all(self, rule: str) -> Iterator[Tree]:
        """The parts by a rule."""
        return (part for part in self.parts if isinstance(part, Tree) and part.rule == rule)

    def words(self, kind: int) -> list[str]:
        """The words of a kind that are parts themselves."""
        return [part.text for part in self.parts if isinstance(part, Word) and part.kind == kind]

    def text(self) -> str:
        """All words, without the blanks between them."""
        found: list[str] = []
        left: list[Tree | Word] = [self]
        while left:  # not by a call for each rule, of which there may be as many as words
            part = left.pop()
            if isinstance(part, Word):
                found.append(part.text)
            else:
                left += reversed(part.parts)
        return "".join(found)


@dataclass(slots=True)
class _Frame:
    """A rule that is being read, how tightly it binds, and where to go on after it."""

    tree: Tree
    precedence: int
    follow: State | None


def parse(text: str) -> Tree:
    """The tree of a text. Raises QueryError."""
    try:
        return _Parser(text, exact=False).parse()
    except QueryError:
        return _Parser(text, exact=True).parse()


class _Parser:
    def __init__(self, text: str, *, exact: bool) -> None:
        self._text = text
        self._source = read(text)
        self._words: list[Word] = []
        self._at = 0
        self._stack: Stack = Bottom.END
        self._predictor = Predictor(lambda ahead: self._word(ahead).kind, exact=exact)
        self._frames = [_Frame(Tree("zqls"), 0, None)]

    def parse(self) -> Tree:
        state: State | None = AUTOMATON.begins["zqls"]
        whole = self._frames[0].tree
        while state is not None:
            match state.at:
                case At.STOP:
                    state = self._leave()
                case At.CHOICE | At.LOOP:
                    self._sync(state)
                    state = self._decide(state)
                case At.BODY:
                    self._sync(state)
                    state = state.edges[0].target
                case At.AGAIN:
                    assert state.decides is not None
                    self._sync(state)
                    state = self._decide(state.decides)
                case At.STEP:
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
            way = self._way_by_one_word(state, state.single)
        else:
            found = self._predictor.predict(state, self._stack, self._frames[-1].precedence)
            if found.way is None:
                raise self._no_way(found.stuck)
            way = found.way
        if state.wraps and way == 0:
            self._wrap()
        return state.edges[way].target

    def _way_by_one_word(self, state: State, single: tuple[frozenset[int], ...]) -> int:
        kind = self._word().kind
        for way, kinds in enumerate(single):
            if kind in kinds:
                return way
        if state.at is At.CHOICE and state.edges[-1].target.at is not At.STEP:
            raise self._no_way(0)
        return len(single) - 1

    def _wrap(self) -> None:
        """What was read by the rule so far is where the same rule begins."""
        tree = self._frames[-1].tree
        tree.parts = [Tree(tree.rule, tree.parts)]

    def _word(self, ahead: int = 0) -> Word:
        while len(self._words) <= self._at + ahead:
            self._words.append(next(self._source))
        return self._words[self._at + ahead]

    def _match(self, state: State, edge: Edge) -> None:
        assert edge.kinds is not None
        word = self._word()
        if word.kind not in edge.kinds:
            raise self._mismatch(state, edge)
        self._frames[-1].tree.parts.append(word)
        if word.kind != EOF:
            self._at += 1
            self._word()  # which is read as soon as this one is taken

    def _sync(self, state: State) -> None:
        """Look whether the next word can come in a state. Raises QueryError."""
        kinds = AUTOMATON.next_words(state)
        if self._word().kind in kinds or END_OF_RULE in kinds:
            return
        if state.at is At.AGAIN:
            raise self._unwanted(state)
        self._delete_one(state)
        raise self._mismatched(state)

    def _mismatch(self, state: State, edge: Edge) -> QueryError:
        self._delete_one(state)
        if self._word().kind in AUTOMATON.next_words_within(edge.target, self._stack):
            expected = _display(self._expected(state, self._stack))
            return self._error(f"missing {expected} at {self._word().quoted()}")
        return self._mismatched(state)

    def _delete_one(self, state: State) -> None:
        """Raises QueryError if the word after the next is what should be next."""
        if self._word(1).kind in self._expected(state, self._stack):
            raise self._unwanted(state)

    def _expected(self, state: State, stack: Stack) -> frozenset[int]:
        """What may come next, after the rules that may end too; ANTLR adds the end if all may."""
        following = AUTOMATON.next_words(state)
        found = following - {END_OF_RULE}
        while isinstance(stack, Pending) and END_OF_RULE in following:
            following = AUTOMATON.next_words(stack.state)
            found |= following - {END_OF_RULE}
            stack = stack.above
        return found | {EOF} if END_OF_RULE in following else found

    def _mismatched(self, state: State) -> QueryError:
        expected = _display(self._expected(state, self._stack))
        return self._error(f"mismatched input {self._word().quoted()} expecting {expected}")

    def _unwanted(self, state: State) -> QueryError:
        expected = _display(self._expected(state, self._stack))
        return self._error(f"extraneous input {self._word().quoted()} expecting {expected}")

    def _no_way(self, stuck: int) -> QueryError:
        self._word(stuck)
        words = self._words[self._at : self._at + stuck + 1]
        if words[0].kind == EOF:
            said = "<EOF>"
        else:
            said = "".join(word.text for word in words if word.kind != EOF)
            self._read_on()
        return syntax_error(self._text, words[-1].at, f"no viable alternative at input {quote(said)}")

    def _read_on(self) -> None:
        """Read all words, as ANTLR does before it quotes some: one that is none is the error then."""
        while self._words[-1].kind != EOF:
            self._words.append(next(self._source))

    def _error(self, message: str) -> QueryError:
        return syntax_error(self._text, self._word().at, message)


def _display(kinds: frozenset[int]) -> str:
    names = [DISPLAYED[kind] for kind in sorted(kinds)]
    return names[0] if len(names) == 1 else f"{{{', '.join(names)}}}"
