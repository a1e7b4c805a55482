"""Programs that search and count the lines of texts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator
from re import _constants, _parser  # type: ignore[attr-defined]  # what a pattern is made of
from typing import Any

from imagestore_sim.hosts.commands.declare import Usage, options_of, program, reason
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.hosts.shell import Call

_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
LONGEST_LINE = 4096
"""Characters of a line that are searched."""
_LONG = ("count", "ignore-case", "invert-match", "line-number", "quiet", "silent", "recursive", "fixed-strings")
_SPECIAL = re.compile(r"\\(.)|([(){}|+?])")
TROUBLE = 2
"""The exit status of grep after an error; without a match it is 1."""


@program("grep", trouble=TROUBLE)
async def _grep(call: Call) -> int:
    """Print the lines that match a pattern, of files or of the standard input."""
    options, operands = options_of(call, "ciEFvnqshHlrRwxe:", _LONG)
    pattern = options.get("e") or (operands.pop(0) if operands else None)
    if pattern is None:
        call.streams.complain("Usage: grep [OPTION]... PATTERNS [FILE]...\n")
        return TROUBLE
    search = _Search(call, options.keys(), _compiled(pattern, options.keys()))
    if not operands and not search.recursive:
        search.text(await call.streams.read.read(), "(standard input)", named=False)
    for operand in operands or (["."] if search.recursive else []):
        search.path(operand, named=(len(operands) > 1 or search.recursive or "H" in options) and "h" not in options)
    return TROUBLE if search.failed else int(not search.found)


class _Search:
    """A search of lines, and what it has found so far."""

    def __init__(self, call: Call, options: Collection[str], pattern: re.Pattern[str]) -> None:
        self._call = call
        self._options = frozenset(options)
        self._pattern = pattern
        self.recursive = self._has("r", "R", "recursive")
        self.found = False
        self.failed = False

    def path(self, path: str, *, named: bool) -> None:
        """Search a file, or the files of a directory."""
        try:
            for name in _files(self._call.disk, self._call.path(path), path) if self.recursive else [path]:
                self.text(self._call.disk.read_file(self._call.path(name)).decode(errors="replace"), name, named=named)
        except OSError as error:
            self.failed = True
            if not self._has("s"):
                self._call.fail(f"{path}: {reason(error)}")

    def text(self, text: str, name: str, *, named: bool) -> None:
        """Search a text, and print its lines, their number, or only its name."""
        inverted = self._has("v", "invert-match")
        lines = enumerate(text.splitlines(), 1)
        found = [
            (number, line) for number, line in lines if bool(self._pattern.search(line[:LONGEST_LINE])) != inverted
        ]
        self.found |= bool(found)
        if self._has("q", "quiet", "silent"):
            return
        head = f"{name}:" if named else ""
        if self._has("l"):
            if found:
                self._call.say(name)
            found = []
        elif self._has("c", "count"):
            self._call.say(f"{head}{len(found)}")
            found = []
        for number, line in found:
            self._call.say(f"{head}{f'{number}:' if self._has('n', 'line-number') else ''}{line}")

    def _has(self, *names: str) -> bool:
        return not self._options.isdisjoint(names)


def _compiled(pattern: str, options: Collection[str]) -> re.Pattern[str]:
    """Return the pattern that the options of grep make of a text. Raise Usage."""
    fixed = "F" in options or "fixed-strings" in options
    text = re.escape(pattern) if fixed else pattern if "E" in options else _extended(pattern)
    if "x" in options:
        text = f"^(?:{text})$"
    elif "w" in options:
        text = rf"\b(?:{text})\b"
    try:
        if not fixed and _may_take_for_ever(_parser.parse(text)):
            raise Usage("this host's grep takes no repetition or choice within a repetition")
        return re.compile(text, re.IGNORECASE if "i" in options or "ignore-case" in options else 0)
    except (re.error, OverflowError, RecursionError) as error:
        raise Usage(f"invalid pattern: {error}") from None


def _may_take_for_ever(part: Any, *, repeated: bool = False) -> bool:
    """Return whether a part of a pattern has a repetition or a choice within a repetition.

    Python tries all ways to match it: their number doubles with each character. GNU's grep looks at each once.
    """
    if isinstance(part, tuple | list | _parser.SubPattern):
        items = list(part)
        if len(items) == 2 and items[0] in _REPEATS:
            _, most, body = items[1]
            return most > 1 and (repeated or _may_take_for_ever(body, repeated=True))
        if len(items) == 2 and items[0] is _constants.BRANCH and repeated:
            return True
        return any(_may_take_for_ever(one, repeated=repeated) for one in items)
    return False


def _extended(basic: str) -> str:
    """Return a basic regular expression as an extended one: there these characters are special without a backslash."""

    def swap(found: re.Match[str]) -> str:
        escaped, plain = found.groups()
        if plain:
            return f"\\{plain}"
        return escaped if escaped in "(){}|+?" else found[0]

    return _SPECIAL.sub(swap, basic)


def _files(disk: VirtualDisk, path: str, shown: str) -> Iterator[str]:
    """Yield the paths of a file, or of all files below a directory, as they are `shown`. Raise OSError."""
    waiting = [(path, shown)]
    while waiting:  # not by recursion: a tree may be deeper than that goes
        at, name = waiting.pop()
        if not disk.is_directory(at):
            yield name
            continue
        below = [(posixpath.join(at, one), posixpath.join(name, one)) for one in disk.listdir(at)]
        waiting.extend(reversed(below))


@program("wc")
async def _wc(call: Call) -> int:
    """Print the numbers of lines, words and bytes of a text; of several files each."""
    options, paths = options_of(call, "lwc")
    status = 0
    for path in paths or [""]:
        try:
            text = call.disk.read_file(call.path(path)).decode(errors="replace") if path else None
        except OSError as error:
            status = call.fail(f"{path}: {reason(error)}")
            continue
        text = await call.streams.read.read() if text is None else text
        counts = {"l": text.count("\n"), "w": len(text.split()), "c": len(text.encode(errors="replace"))}
        shown = [str(count) for letter, count in counts.items() if letter in options or not options]
        call.say(" ".join([*shown, path]).rstrip())
    return status
