"""JSON as Gson reads it leniently (unquoted names, single quotes, comments) and writes it; and its error messages.

Only a body that the strict parser refuses, or in which a name may occur twice, is read here (wire-protocol 1.4).
"""

from __future__ import annotations

import re
from decimal import Decimal

import orjson

from imagestore_sim.rest.parameters import LONG_MAX

BLANKS = re.compile(r"[ \t\r\n]*")
SKIPPED_CHARACTERS = frozenset(("", *" \t\r\n/#"))
ENDS_LITERAL = frozenset("/\\;#={}[]:, \t\f\r\n")
LITERAL = re.compile(f"[^{re.escape(''.join(ENDS_LITERAL))}]*")
UP_TO_QUOTE = {quote: re.compile(rf"[^{quote}\\]*") for quote in "\"'"}
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
ESCAPES = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", "\n": "\n", "'": "'", '"': '"', "\\": "\\", "/": "/"}
LONE = re.compile("[\ud800-\udfff]")
"""A lone surrogate, which Java writes as a question mark."""
CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None}
MAX_DEPTH = 200
"""The deepest nesting that is read. Gson reads until its thread's stack overflows."""
MALFORMED = "com.google.gson.stream.MalformedJsonException: "


class NotReadable(Exception):
    """Gson cannot read a text either. The message is that of Gson's exception."""


def read_element(text: str) -> object:
    """Return the single value in a text, or None for an empty text or `null`. Raise NotReadable."""
    return _Reader(text).element()


def read_object(text: str) -> dict[str, object] | None:
    """Return the single object in a text, or None for an empty text or `null`. Raise NotReadable."""
    return _Reader(text).document()


def write(value: object, *, nulls: bool = False) -> str:
    """Return a value as Gson writes it, with doubles as Java prints them.

    Null members are left out unless `nulls` is set, as JsonElement.toString() does.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return _java_double(value)
        case int():
            return str(value) if -LONG_MAX - 1 <= value <= LONG_MAX else _java_double(float(value))
        case list():
            return f"[{','.join(write(one, nulls=nulls) for one in value)}]"
        case dict():
            members = (
                f"{write(name)}:{write(one, nulls=nulls)}" for name, one in value.items() if nulls or one is not None
            )
            return "{" + ",".join(members) + "}"
        case _:
            text = orjson.dumps(str(value)).decode()
            return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _java_double(value: float) -> str:
    """Return a double as Java's Double.toString prints it: `1.5`, `1.0E20`."""
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = repr(value)
        return text if "." in text else f"{text}.0"
    digits, _, exponent = f"{Decimal(repr(value)):e}".partition("e")
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"


class _Lexer:
    """A text, the place in it up to which it is read, and the JSON path there, which Gson's messages name."""

    def __init__(self, text: str) -> None:
        self._text = text.removeprefix("\ufeff")
        self._at = 0
        self._path: list[str] = []

    def _literal(self) -> str:
        return self._run(LITERAL)

    def _run(self, pattern: re.Pattern[str]) -> str:
        """Consume and return what the pattern matches here, which may be the empty text."""
        found = pattern.match(self._text, self._at)
        assert found is not None, "every pattern here matches the empty text"
        self._at = found.end()
        return found[0]

    def _quoted(self, quote: str) -> str:
        parts: list[str] = []
        while True:
            parts.append(self._run(UP_TO_QUOTE[quote]))
            if self._at == len(self._text):
                raise self._malformed("Unterminated string")
            self._at += 1
            if self._text[self._at - 1] == quote:
                return _without_lone_surrogates("".join(parts))
            parts.append(self._escaped())

    def _escaped(self) -> str:
        character = self._text[self._at : self._at + 1]
        self._at += 1
        if character == "u":
            digits = self._text[self._at : self._at + 4]
            if len(digits) < 4:
                raise self._malformed("Unterminated escape sequence")
            if not re.fullmatch("[0-9a-fA-F]{4}", digits):
                raise NotReadable(f"java.lang.NumberFormatException: \\u{digits}")
            self._at += 4
            return chr(int(digits, 16))
        if character not in ESCAPES:
            raise self._malformed("Invalid escape sequence" if character else "Unterminated escape sequence")
        return ESCAPES[character]

    def _next(self) -> str:
        """Return the next character that is no blank, without consuming it. Raise NotReadable at the end."""
        character = self._skip_blanks()
        if character is None:
            raise NotReadable(f"java.io.EOFException: End of input{self._where()}")
        return character

    def _skip_blanks(self) -> str | None:
        while (character := self._text[self._at : self._at + 1]) in SKIPPED_CHARACTERS:
            if not character:
                return None
            if character in " \t\r\n":
                self._run(BLANKS)
            elif character == "#" or self._text.startswith("//", self._at):
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end + 1
            elif self._text.startswith("/*", self._at):
                end = self._text.find("*/", self._at + 2)
                if end < 0:
                    self._at = len(self._text)
                    raise self._malformed("Unterminated comment")
                self._at = end + 2
            else:
                break
        return character

    def _enter(self, step: str) -> None:
        if len(self._path) >= MAX_DEPTH:
            raise NotReadable("java.lang.StackOverflowError")
        self._path.append(step)

    def _malformed(self, complaint: str) -> NotReadable:
        return NotReadable(f"{MALFORMED}{complaint}{self._where()}")

    def _unexpected(self, expected: str, found: str) -> NotReadable:
        return NotReadable(f"java.lang.IllegalStateException: Expected {expected} but was {found}{self._where()}")

    def _where(self) -> str:
        line = self._text.count("\n", 0, self._at) + 1
        column = self._at - (self._text.rfind("\n", 0, self._at) + 1) + 1
        return f" at line {line} column {column} path ${''.join(self._path)}"


class _Reader(_Lexer):
    """Reads values, members and elements by recursive descent."""

    def document(self) -> dict[str, object] | None:
        if self._skip_blanks() is None:
            return None
        first = self._text[self._at]
        if first == "{":
            self._at += 1
            body = self._members(unique=True)
        elif first == "[":
            self._at += 1
            body = self._pairs()
        else:
            value = self._scalar(peek=True)
            if value is not None:
                raise self._unexpected("BEGIN_OBJECT", token(value))
            return None
        self._end()
        return body

    def element(self) -> object:
        """Return the whole text as one value of any type."""
        if self._skip_blanks() is None:
            return None
        value = self._value()
        if value is not None:
            self._end()
        return value

    def _end(self) -> None:
        """Raise NotReadable unless only blanks follow: Gson is strict here, and refuses comments, too."""
        self._run(BLANKS)
        if self._at < len(self._text):
            self._at += 1
            raise self._malformed("Use JsonReader.setLenient(true) to accept malformed JSON")

    def _pairs(self) -> dict[str, object]:
        """Read a map written as a list of pairs, after its bracket: Gson takes `[]` for an empty map."""
        body: dict[str, object] = {}
        self._path.append("[0]")
        while self._next() != "]":
            if self._text[self._at] != "[":
                raise self._unexpected("BEGIN_ARRAY", token(self._value(peek=True)))
            self._at += 1
            pair = self._elements()
            if len(pair) != 2:
                raise self._unexpected("END_ARRAY" if len(pair) > 2 else "a value", "END_ARRAY")
            self._put(body, str(pair[0]), pair[1])
            self._path[-1] = f"[{len(body)}]"
            if not self._separator("]", "Unterminated array"):
                break
        else:
            self._at += 1
        self._path.pop()
        return body

    def _put(self, body: dict[str, object], name: str, value: object) -> None:
        if name in body:
            raise NotReadable(f"duplicate key: {name}")
        body[name] = value

    def _members(self, *, unique: bool = False) -> dict[str, object]:
        """Read the members of an object, after its brace. Only the names of the outermost map must be unique."""
        self._enter(".")
        body: dict[str, object] = {}
        while True:
            character = self._next()
            if character == "}" and not body:
                self._at += 1
                break
            name = self._name(character)
            if not unique:
                self._path[-1] = f".{name}"
            self._colon()
            self._next()
            value = self._value()
            if unique:
                self._put(body, name, value)
            else:
                body[name] = value
            if not self._separator("}", "Unterminated object"):
                break
        self._path.pop()
        return body

    def _name(self, character: str) -> str:
        if character in "\"'":
            self._at += 1
            return self._quoted(character)
        if character in ENDS_LITERAL:
            self._at += 1
            raise self._malformed("Expected name")
        return self._literal()

    def _colon(self) -> None:
        character = self._next()
        self._at += 1
        if character not in ":=":
            raise self._malformed("Expected ':'")
        if character == "=" and self._text[self._at : self._at + 1] == ">":
            self._at += 1

    def _elements(self) -> list[object]:
        """Read the elements of a list, after its bracket. A missing one is a null."""
        self._enter("[0]")
        found: list[object] = []
        while True:
            character = self._next()
            if character == "]" and not found:
                self._at += 1
                break
            found.append(None if character in "],;" else self._value())
            self._path[-1] = f"[{len(found)}]"
            if not self._separator("]", "Unterminated array"):
                break
        self._path.pop()
        return found

    def _separator(self, end: str, complaint: str) -> bool:
        """Skip a separator or the closing bracket. Return whether another member follows."""
        character = self._next()
        self._at += 1
        if character == end:
            return False
        if character not in ",;":
            raise self._malformed(complaint)
        return True

    def _value(self, *, peek: bool = False) -> object:
        character = self._text[self._at]
        if character == "{":
            self._at += 1
            return {} if peek else self._members()
        if character == "[":
            self._at += 1
            return [] if peek else self._elements()
        return self._scalar(peek=peek)

    def _scalar(self, *, peek: bool = False) -> object:
        """Read a string, number, boolean or null. With `peek`, stop where Gson's reader knows its type."""
        start, character = self._at, self._text[self._at]
        if character in "\"'":
            self._at += 1
            return "" if peek else self._quoted(character)
        if character in ENDS_LITERAL:
            raise self._malformed("Unexpected value" if character in ",;" else "Expected value")
        literal = self._literal()
        constant = literal.lower()
        if constant in CONSTANTS:
            return CONSTANTS[constant]
        number = NUMBER.fullmatch(literal)
        if number is None:
            self._at = start if peek else self._at
            return literal
        if number[1] or number[2]:
            self._at = start if peek else self._at
            return float(literal)
        return int(literal) if len(literal) < 20 and abs(int(literal)) <= LONG_MAX else float(literal)


def token(value: object) -> str:
    """Return the name of Gson's token that a value begins with."""
    names: dict[type, str] = {bool: "BOOLEAN", str: "STRING", dict: "BEGIN_OBJECT", list: "BEGIN_ARRAY"}
    return "NULL" if value is None else names.get(type(value), "NUMBER")


def _without_lone_surrogates(text: str) -> str:
    """Join pairs of surrogates to characters; replace lone ones by `?`, since no encoding can write them."""
    if text.isascii():
        return text
    paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return LONE.sub("?", paired)
