"""The lexer of the query language (ZStack's ZQL.g4).

The longest token at a position wins; of equally long ones, the first below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from imagestore_sim.query.errors import QueryError
from imagestore_sim.query.language.errors import syntax_error

EOF = 0
LITERALS = (
    ";", ".", ",", "=", "!=", ">", ">=", "<", "<=", "is null", "is not null", "in", "not in", "like", "not like", "has",
    "not has", "(", ")", "list(", "{", "}", "by", "*", "/", "%", "+", "-", "--", "inner", "left", "right", "join", "on",
    "filter by", "offset", "limit", "query", "getapi", "count", "sum", "search", "order by", "group by", "named as",
)  # fmt: skip
AFTER_DIRECTION = ("restrict by", "return with", "where", "from", "and", "or")
UNREACHED = ("asc", "desc")  # ORDER_BY_VALUE matches the same text, and comes first
API = ("api", "output")

DISPLAY_NAMES: tuple[str, ...] = (
    "<EOF>",
    *(f"'{one}'" for one in LITERALS),
    "ORDER_BY_VALUE",
    *(f"'{one}'" for one in (*AFTER_DIRECTION, *UNREACHED, *API)),
    "BOOLEAN",
    "INT",
    "FLOAT",
    "ID",
    "WS",
    "STRING",
)
"""The names of token kinds in errors, in the order of ANTLR's lists; a kind is an index of this tuple."""
TOKEN_KINDS = {name.strip("'") if name != "'" else name: kind for kind, name in enumerate(DISPLAY_NAMES)}
DIRECTION, BOOLEAN, INT, FLOAT, ID, STRING = (
    TOKEN_KINDS[name] for name in ("ORDER_BY_VALUE", "BOOLEAN", "INT", "FLOAT", "ID", "STRING")
)

LITERAL = re.compile(
    "|".join(map(re.escape, sorted((*LITERALS, *AFTER_DIRECTION, *API), key=len, reverse=True))), re.ASCII
)
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
IDENTIFIER = re.compile(r"[A-Za-z0-9_]+")
QUOTED_STRING = re.compile(r"'(?:''|[^'])*'|\"[^\"]*\"")
BLANKS = re.compile(r"[ \t\r\n]*")
SPECIAL = {"asc": DIRECTION, "desc": DIRECTION, "true": BOOLEAN, "false": BOOLEAN}
ESCAPED = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t"})


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its kind, its text, and its 0-based position in the whole text."""

    kind: int
    text: str
    at: int

    def quoted(self) -> str:
        """Return the token as errors show it."""
        return quote(self.text)


def quote(text: str) -> str:
    """Return text in quotes, with newlines, carriage returns and tabs escaped."""
    return f"'{text.translate(ESCAPED)}'"


def tokenize(text: str) -> Iterator[Token]:
    """Yield the tokens of a text, then EOF tokens without end. Raise QueryError where no token matches."""
    at = 0
    while True:
        blanks = BLANKS.match(text, at)
        assert blanks is not None
        at = blanks.end()
        if at == len(text):
            break
        kind, end = _longest(text, at)
        yield Token(kind, text[at:end], at)
        at = end
    while True:
        yield Token(EOF, "<EOF>", at)


class TokenStream:
    """The tokens of a text, read as far as the parser looks ahead."""

    def __init__(self, text: str) -> None:
        self._source = tokenize(text)
        self._tokens: list[Token] = []
        self._at = 0

    def peek(self, ahead: int = 0) -> Token:
        """Return the n-th next token, from 0. Raise QueryError where no token matches."""
        while len(self._tokens) <= self._at + ahead:
            self._tokens.append(next(self._source))
        return self._tokens[self._at + ahead]

    def advance(self) -> None:
        """Go to the next token. ANTLR reads it at once, so raise its QueryError now."""
        self._at += 1
        self.peek()

    def read_all(self) -> None:
        """Read to the end, as ANTLR does before it quotes tokens. Raise QueryError where no token matches."""
        while self._tokens[-1].kind != EOF:
            self._tokens.append(next(self._source))


def _longest(text: str, at: int) -> tuple[int, int]:
    found: list[tuple[int, int]] = []  # the end, and the negated kind: the lowest kind wins a tie
    if literal := LITERAL.match(text, at):
        found.append((literal.end(), -TOKEN_KINDS[literal[0]]))
    if number := NUMBER.match(text, at):
        found.append((number.end(), -(FLOAT if number[1] else INT)))
    if token := IDENTIFIER.match(text, at):
        found.append((token.end(), -SPECIAL.get(token[0], ID)))
    if quoted_string := QUOTED_STRING.match(text, at):
        found.append((quoted_string.end(), -STRING))
    if not found:
        raise _unrecognized(text, at)
    end, kind = max(found)
    return -kind, end


def _unrecognized(text: str, at: int) -> QueryError:
    """Return the error where no token matches; it quotes what ANTLR read until no token could match."""
    unfinished = text[at] in "'\"" or text[at:] == "!"
    if unfinished and at:  # ANTLR quotes one character too many, and fails, unless it quotes the whole text
        return QueryError(
            f"offset {at}, count {len(text) - at + 1}, length {len(text)}",
            thrown="java.lang.StringIndexOutOfBoundsException",
        )
    seen = text if unfinished else text[at : at + 2] if text[at] == "!" else text[at]
    return syntax_error(text, at, f"token recognition error at: {quote(seen)}")
