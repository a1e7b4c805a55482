"""Builtins of dash, and the small programs that scripts are made of."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping

from imagestore_sim.hosts.commands.declare import Usage, command
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.hosts.shell import LONG_MAX, SYNTAX_ERROR, Call, Exit, long_of
from imagestore_sim.hosts.syntax import NAME

INT_MAX = 2**31 - 1
MOST_WIDTH = 2**16
"""The widest field that printf fills."""
_CONVERSIONS: Mapping[str, str] = {
    "s": "s",
    "c": "s",
    "b": "s",
    "d": "d",
    "i": "d",
    "u": "d",
    "x": "x",
    "X": "X",
    "o": "o",
}
"""The conversions of printf, and those of Python that print the same."""
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@command("cd", builtin=True)
async def _cd(call: Call) -> int:
    target = call.arguments[0] if call.arguments else call.shell.variables.get("HOME", "/")
    folder = posixpath.normpath(call.path(target or ".")).replace("//", "/")
    if not call.disk.is_directory(folder):
        return call.fail_in_shell(f"can't cd to {target}")
    call.shell.folder = folder
    return 0


@command("exit", builtin=True)
async def _exit(call: Call) -> int:
    if not call.arguments:
        raise Exit(call.shell.status)
    number = call.arguments[0]
    if not (number.isascii() and number.isdecimal()) or long_of(number) > INT_MAX:
        call.fail_in_shell(f"Illegal number: {number}")
        raise Exit(SYNTAX_ERROR)
    raise Exit(long_of(number) & 0xFF)


@command("export", builtin=True)
async def _export(call: Call) -> int:
    for argument in call.arguments:
        name, equals, value = argument.partition("=")
        if not NAME.fullmatch(name):
            return call.fail_in_shell(f"{name}: bad variable name")
        if equals:
            call.shell.variables[name] = value
        call.shell.exported.add(name)
    return 0


@command("unset", builtin=True)
async def _unset(call: Call) -> int:
    for name in call.arguments:
        call.shell.variables.pop(name, None)
        call.shell.exported.discard(name)
    return 0


@command(":", builtin=True)
@command("true")
async def _true(_call: Call) -> int:
    return 0


@command("false")
async def _false(_call: Call) -> int:
    return 1


@command("echo")
async def _echo(call: Call) -> int:
    quiet = call.arguments[:1] == ["-n"]
    text, cut, _ = " ".join(call.arguments[quiet:]).partition("\\c")
    text = _unescaped(text)
    call.streams.write(text + ("" if quiet or cut else "\n"))
    return 0


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text)


@command("printf")
async def _printf(call: Call) -> int:
    if not call.arguments:
        return call.fail_in_shell("usage: printf format [arg ...]")
    text, left = call.arguments[0], call.arguments[1:]
    while True:
        before = len(left)
        try:
            printed = _formatted(text, left)
        except Usage as usage:
            return call.fail_in_shell(str(usage))
        call.streams.write(printed)
        if not left or len(left) == before:
            return 0


def _formatted(text: str, left: list[str]) -> str:
    """Return the output of one pass of printf over its format; take the arguments for it from `left`. Raise Usage."""

    def expand(found: re.Match[str]) -> str:
        if found["escape"]:
            return _ESCAPES.get(found["escape"], found[0])
        if found["kind"] == "%":
            return "%"
        if not found["kind"]:
            raise Usage("missing format character")
        if found["kind"] not in _CONVERSIONS:
            raise Usage(f"{found[0]}: invalid directive")
        if long_of(found["width"].strip("-") or "0") > MOST_WIDTH:
            raise Usage(f"{found[0]}: Out of space")
        argument = left.pop(0) if left else ""
        if found["kind"] == "s":
            return f"%{found['width']}s" % argument
        if found["kind"] == "c":
            return f"%{found['width']}s" % argument[:1]
        if found["kind"] == "b":
            return f"%{found['width']}s" % _unescaped(argument)
        number = re.match(r"\s*-?[0-9]+", argument)
        value = long_of(number[0].strip()) if number else 0
        if found["kind"] in "xXo" and value < 0:
            value += 2**64
        return f"%{found['width']}{_CONVERSIONS[found['kind']]}" % value

    return re.sub(r"\\(?P<escape>.)|%(?P<width>-?[0-9]*)(?P<kind>.?)", expand, text, flags=re.DOTALL)


@command("pwd")
async def _pwd(call: Call) -> int:
    call.say(call.shell.folder)
    return 0


@command("test", "[")
async def _test(call: Call) -> int:
    arguments = list(call.arguments)
    if call.name.endswith("["):
        if arguments[-1:] != ["]"]:
            return call.fail_in_shell("missing ]")
        arguments.pop()
    negated = len(arguments) > 1 and arguments[0] == "!"
    try:
        holds = _holds(call, arguments[1:] if negated else arguments)
    except Usage as usage:
        return call.fail_in_shell(str(usage))
    return int(holds == negated)


def _holds(call: Call, arguments: list[str]) -> bool:
    match arguments:
        case []:
            return False
        case [text]:
            return text != ""
        case ["-n", text]:
            return text != ""
        case ["-z", text]:
            return text == ""
        case [operator, path] if operator in _FILE_TESTS:
            return _FILE_TESTS[operator](call.disk, call.path(path))
        case [left, "=", right]:
            return left == right
        case [left, "!=", right]:
            return left != right
        case [left, operator, right] if operator in _COMPARISONS:
            return _COMPARISONS[operator](_number(left), _number(right))
        case [first, *_]:
            raise Usage(f"{first}: unexpected operator")
    raise AssertionError(arguments)


def _number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text.strip()):
        raise Usage(f"Illegal number: {text}")
    number = long_of(text.strip())
    if abs(number) >= LONG_MAX:
        raise Usage(f"Illegal number: {text}")
    return number


def _has_bits(disk: VirtualDisk, path: str, bits: int) -> bool:
    return disk.exists(path) and bool(disk.stat(path).mode & bits)


_FILE_TESTS: Mapping[str, Callable[[VirtualDisk, str], bool]] = {
    "-d": VirtualDisk.is_directory,
    "-e": VirtualDisk.exists,
    "-f": VirtualDisk.is_file,
    "-r": lambda disk, path: _has_bits(disk, path, 0o444),
    "-w": lambda disk, path: _has_bits(disk, path, 0o222) and not disk.statvfs(path).read_only,
    "-x": lambda disk, path: _has_bits(disk, path, 0o111),
    "-s": lambda disk, path: disk.exists(path) and disk.stat(path).size > 0,
}

_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "-eq": int.__eq__,
    "-ne": int.__ne__,
    "-lt": int.__lt__,
    "-le": int.__le__,
    "-gt": int.__gt__,
    "-ge": int.__ge__,
}
