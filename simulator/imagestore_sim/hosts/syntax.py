"""The syntax of the simulated hosts' shell: a part of POSIX; everything else is an error in dash's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9?#@*$]")
_OPERATOR = re.compile(r"&&|\|\||;;|<<|>>|<&|>&|[;&|()<>\n]")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_BLANKS = re.compile(r"(?:[ \t]|\\\n)+")
_BRACED = re.compile(r"\{(\w+|[?#@*$])\}")
_QUOTED = re.compile(r"[^\"\\$`]+")
_PLAIN = re.compile(r"[^ \t\n'\"\\$`&|;()<>]+")  # other white space, such as a carriage return, is text
LONGEST_KEPT = 4096
"""Characters of a script whose commands are kept."""
_REDIRECTIONS = ("<", ">", ">>", "<&", ">&")
# Reserved where a command may begin. Of what they introduce in POSIX, this shell knows groups and negation.
_RESERVED = ("if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!")


class SyntaxProblem(Exception):
    """A syntax error; the text is what dash prints after `Syntax error: `."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


class Incomplete(SyntaxProblem):
    """A script that ends in the middle of a command."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Literal text."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """`$name`: a variable, a positional or a special parameter."""

    name: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Substitution:
    """`$(body)`: the output of commands."""

    body: Script
    quoted: bool


@dataclass(frozen=True, slots=True)
class Word:
    """The parts of one word, before expansion."""

    parts: tuple[Literal | Parameter | Substitution, ...]

    @property
    def plain(self) -> str | None:
        """Return its text if that is all of it, unquoted; else None."""
        match self.parts:
            case (Literal(text, False),):
                return text
        return None


@dataclass(frozen=True, slots=True)
class Redirection:
    """`2>&1`: which of the three streams goes where."""

    stream: int
    operator: str
    target: Word


@dataclass(frozen=True, slots=True)
class Simple:
    """A command with its words."""

    line: int
    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirections: tuple[Redirection, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """`{ body; }`, or `( body )` in a shell of its own."""

    line: int
    body: Script
    subshell: bool
    redirections: tuple[Redirection, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each of which reads the output of the one before it."""

    commands: tuple[Simple | Group, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """Pipelines joined by `&&` and `||`: `others` with the operator before each."""

    first: Pipeline
    others: tuple[tuple[str, Pipeline], ...]


Script = tuple[Chain, ...]


@dataclass(slots=True)
class _Token:
    """A word, or an operator; neither at the end of the script."""

    line: int
    word: Word | None = None
    operator: str = ""

    @property
    def name(self) -> str:
        """Return what dash calls it in an error."""
        if self.word is None:
            return {"\n": "newline", "": "end of file"}.get(self.operator, f'"{self.operator}"')
        return f'"{self.word.plain}"' if self.word.plain in _RESERVED else "word"


def read_lines(text: str) -> Iterator[Script]:
    """Yield the commands of each line of a script. Raise SyntaxProblem where one cannot be read."""
    if len(text) <= LONGEST_KEPT:
        try:
            yield from _whole(text)
            return
        except SyntaxProblem:  # the lines before it come first
            pass
    yield from _lines(text)


@lru_cache(maxsize=64)
def _whole(text: str) -> tuple[Script, ...]:
    """Return the commands of all lines: a client sends the same script again and again."""
    return tuple(_lines(text))


def _lines(text: str) -> Iterator[Script]:
    parser = Parser(text)
    while (script := parser.read()) is not None:
        yield script


@dataclass(slots=True)
class Parser:
    """Parses a script a line at a time, as a shell does: lines before a syntax error have run when it is found."""

    text: str
    line: int = 1
    _at: int = 0
    _next: _Token | None = field(default=None)

    def read(self) -> Script | None:
        """Return the commands of the next line, or None at the end. Raise SyntaxProblem."""
        self._newlines()
        if self._at_end():
            return None
        return self._script(stop=("\n", ""))

    # Grammar

    def _script(self, stop: Sequence[str]) -> Script:
        """Parse chains up to one of the operators or reserved words in `stop`, which is not consumed."""
        chains: list[Chain] = []
        while True:
            if "\n" not in stop:
                self._newlines()
            if self._stands(stop):
                break
            if self._at_end():
                raise Incomplete(self.line, f'end of file unexpected (expecting "{stop[0]}")')
            chains.append(self._chain())
            if not (self._operator(";") or self._at_end() or self._stands((*stop, "\n"))):
                raise self._unexpected()
        if not chains:
            raise self._unexpected()
        return tuple(chains)

    def _stands(self, stop: Sequence[str]) -> bool:
        token = self._peek()
        return (token.operator if token.word is None else token.word.plain) in stop

    def _chain(self) -> Chain:
        first = self._pipeline()
        others: list[tuple[str, Pipeline]] = []
        while operator := self._operator("&&", "||"):
            self._newlines()
            others.append((operator, self._pipeline()))
        return Chain(first, tuple(others))

    def _pipeline(self) -> Pipeline:
        negated = self._reserved("!")
        commands = [self._command()]
        while self._operator("|"):
            self._newlines()
            commands.append(self._command())
        return Pipeline(tuple(commands), negated)

    def _command(self) -> Simple | Group:
        line = self._peek().line
        if self._operator("("):
            body = self._script(stop=(")",))
            self._expect(")")
            return Group(line, body, True, self._redirections())
        if self._reserved("{"):
            body = self._script(stop=("}",))
            self._expect("}")
            return Group(line, body, False, self._redirections())
        return self._simple(line)

    def _simple(self, line: int) -> Simple:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirections: list[Redirection] = []
        if (word := self._peek().word) is not None and word.plain in _RESERVED:
            raise self._unexpected()
        while True:
            if redirection := self._redirection():
                redirections.append(redirection)
            elif (word := self._peek().word) is None:
                break
            else:
                self._take()
                assignment = None if words else _as_assignment(word)
                words += [] if assignment else [word]
                assignments += [assignment] if assignment else []
        if not (assignments or words or redirections) or self._peek().operator == "(":
            raise self._unexpected()
        return Simple(line, tuple(assignments), tuple(words), tuple(redirections))

    def _redirections(self) -> tuple[Redirection, ...]:
        found: list[Redirection] = []
        while redirection := self._redirection():
            found.append(redirection)
        return tuple(found)

    def _redirection(self) -> Redirection | None:
        stream = self._stream()
        operator = self._operator(*_REDIRECTIONS)
        if not operator:
            return None
        target = self._take()
        if target.word is None:
            raise self._unexpected(target)
        default = 0 if operator.startswith("<") else 1
        return Redirection(default if stream is None else stream, operator, target.word)

    def _stream(self) -> int | None:
        """Consume and return the digit right before a redirection, if there is one."""
        token = self._peek()
        digit = token.word.plain if token.word is not None else None
        if digit in ("0", "1", "2") and self.text[self._at : self._at + 1] in ("<", ">"):
            self._take()
            return int(digit)
        return None

    # Tokens

    def _peek(self) -> _Token:
        if self._next is None:
            self._next = self._token()
        return self._next

    def _take(self) -> _Token:
        token = self._peek()
        self._next = None
        if token.operator == "\n":
            self.line += 1
        return token

    def _operator(self, *operators: str) -> str:
        """Consume and return the next operator if it is one of these, else return an empty text."""
        if self._peek().word is None and self._peek().operator in operators:
            return self._take().operator
        return ""

    def _at_end(self) -> bool:
        return self._peek().word is None and not self._peek().operator

    def _reserved(self, name: str) -> bool:
        word = self._peek().word
        if word is not None and word.plain == name:
            self._take()
            return True
        return False

    def _newlines(self) -> None:
        while self._operator("\n"):
            pass

    def _expect(self, name: str) -> None:
        if not (self._operator(name) or self._reserved(name)):
            raise self._unexpected()

    def _unexpected(self, token: _Token | None = None) -> SyntaxProblem:
        found = token or self._peek()
        at_end = found.word is None and found.operator == ""
        return (Incomplete if at_end else SyntaxProblem)(found.line, f"{found.name} unexpected")

    def _token(self) -> _Token:
        if blanks := _BLANKS.match(self.text, self._at):
            self.line += blanks[0].count("\n")
            self._at = blanks.end()
        if self.text.startswith("#", self._at):
            end = self.text.find("\n", self._at)
            self._at = len(self.text) if end < 0 else end
        if operator := _OPERATOR.match(self.text, self._at):
            self._at = operator.end()
            return _Token(self.line, operator=operator[0])
        if self._at >= len(self.text):
            return _Token(self.line)
        line = self.line
        return _Token(line, self._word())

    # Words

    def _word(self) -> Word:
        parts: list[Literal | Parameter | Substitution] = []
        while self._at < len(self.text):
            character = self.text[self._at]
            if plain := _PLAIN.match(self.text, self._at):
                self._at = plain.end()
                parts.append(Literal(plain[0], False))
            elif character == "'":
                parts.append(Literal(self._until("'"), True))
            elif character == '"':
                parts += self._double_quoted()
            elif character == "\\":
                parts += self._escaped()
            elif character == "$":
                parts.append(self._dollar(quoted=False))
            elif character == "`":
                raise SyntaxProblem(self.line, '"`" unexpected')
            else:
                break
        return Word(tuple(parts))

    def _until(self, quote: str) -> str:
        end = self.text.find(quote, self._at + 1)
        if end < 0:
            raise Incomplete(self.line, "Unterminated quoted string")
        text = self.text[self._at + 1 : end]
        self.line += text.count("\n")
        self._at = end + 1
        return text

    def _escaped(self) -> list[Literal]:
        character = self.text[self._at + 1 : self._at + 2]
        self._at += 2
        if character == "\n":
            self.line += 1
            return []
        return [Literal(character or "\\", True)]

    def _double_quoted(self) -> list[Literal | Parameter | Substitution]:
        parts: list[Literal | Parameter | Substitution] = [Literal("", True)]
        self._at += 1
        while (character := self.text[self._at : self._at + 1]) != '"':
            if not character:
                raise Incomplete(self.line, "Unterminated quoted string")
            if plain := _QUOTED.match(self.text, self._at):
                self.line += plain[0].count("\n")
                self._at = plain.end()
                parts.append(Literal(plain[0], True))
            elif character == "$":
                parts.append(self._dollar(quoted=True))
            elif character == "`":
                raise SyntaxProblem(self.line, '"`" unexpected')
            elif character == "\\" and self.text[self._at + 1 : self._at + 2] in ("$", "`", '"', "\\", "\n"):
                parts += self._escaped()
            else:
                parts.append(Literal("\\", True))
                self._at += 1
        self._at += 1
        return parts

    def _dollar(self, quoted: bool) -> Literal | Parameter | Substitution:
        self._at += 1
        if self.text.startswith("((", self._at):
            raise SyntaxProblem(self.line, '"((" unexpected')
        if self.text.startswith("(", self._at):
            return Substitution(self._nested(), quoted)
        if self.text.startswith("{", self._at):
            found = _BRACED.match(self.text, self._at)
            if found is None:
                raise SyntaxProblem(self.line, "Bad substitution")
            self._at = found.end()
            return Parameter(found[1], quoted)
        found = _PARAMETER.match(self.text, self._at)
        if found is None:
            return Literal("$", quoted)
        self._at = found.end()
        return Parameter(found[0], quoted)

    def _nested(self) -> Script:
        """Parse the script in `$(`...`)`."""
        inner = Parser(self.text, self.line, self._at + 1)
        body = inner._script(stop=(")",))
        inner._expect(")")
        self._at, self.line = inner._at, inner.line
        return body


def _as_assignment(word: Word) -> tuple[str, Word] | None:
    """Return the name and the word of the value of `name=value`; None for any other word."""
    first = word.parts[0] if word.parts else None
    if not isinstance(first, Literal) or first.quoted or not (found := _ASSIGNMENT.match(first.text)):
        return None
    rest = first.text[found.end() :]
    return found[1], Word(((Literal(rest, False),) if rest else ()) + word.parts[1:])
