"""Programs that make, remove, show and copy files."""

from __future__ import annotations

import errno
import posixpath
import re
import stat
import time
from collections.abc import Container
from dataclasses import replace

from imagestore_sim.hosts.commands.declare import Usage, each, options_of, program, reason
from imagestore_sim.hosts.commands.running import LONGEST_SLEEP, until_interrupted
from imagestore_sim.hosts.open_file import Entry
from imagestore_sim.hosts.shell import Call, long_of
from imagestore_sim.statvfs import BLOCK

FOLLOW_SECONDS = 1.0
"""Between two looks of `tail -f` at its file."""
_UNITS = {"": 1, "c": 1, "k": 1024, "K": 1024, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


@program("mkdir")
async def _mkdir(call: Call) -> int:
    options, paths = options_of(call, "pm:v")
    if not paths:
        raise Usage("missing operand")
    status = 0
    for path in paths:
        try:
            if call.path(path) != "/" or "p" not in options:
                call.disk.make_directory(call.path(path), parents="p" in options)
        except OSError as error:
            where = error.filename if "p" in options else path  # the one of many that failed
            status = call.fail(f"cannot create directory '{where}': {reason(error)}")
    return status


@program("rmdir")
async def _rmdir(call: Call) -> int:
    _, paths = options_of(call, "")
    return each(call, paths, call.disk.remove_directory, "failed to remove")


@program("rm")
async def _rm(call: Call) -> int:
    options, paths = options_of(call, "rRfv", ("recursive", "force"))
    recursive = bool(options.keys() & {"r", "R", "recursive"})
    force = bool(options.keys() & {"f", "force"})
    if force:
        paths = [path for path in paths if call.disk.exists(call.path(path))]
        if not paths:
            return 0
    return each(call, paths, call.disk.remove if recursive else call.disk.remove_file, "cannot remove")


@program("touch")
async def _touch(call: Call) -> int:
    _, paths = options_of(call, "")

    def touch(path: str) -> None:
        if not call.disk.is_directory(path):
            call.disk.open(path, create=True)

    return each(call, paths, touch, "cannot touch")


@program("chmod")
async def _chmod(call: Call) -> int:
    _, operands = options_of(call, "")
    if len(operands) < 2:
        raise Usage("missing operand")
    mode, *paths = operands
    if not re.fullmatch(r"[0-7]{1,4}", mode):
        raise Usage(f"invalid mode: '{mode}'")
    return each(call, paths, lambda path: call.disk.chmod(path, int(mode, 8)), "cannot access")


@program("ls", trouble=2)
async def _ls(call: Call) -> int:
    options, paths = options_of(call, "1aAdlR")
    recursive = "R" in options and "d" not in options
    status, separator = 0, ""
    waiting = paths or ["."]
    titled = recursive or len(waiting) > 1
    while waiting:
        path, *waiting = waiting
        try:
            directory, entries = _listed(call, path, options)
        except OSError as error:
            what = "cannot open directory" if error.errno == errno.EACCES else "cannot access"
            status = call.fail(f"{what} '{path}': {reason(error)}", 2)
            continue
        if directory and titled:
            call.say(f"{separator}{path}:")
        separator = "\n"
        for name, entry in entries.items():
            call.say(_long(name, entry) if "l" in options else name)
        if directory and recursive:
            waiting = [posixpath.join(path, name) for name, entry in entries.items() if entry.directory] + waiting
    return status


def _listed(call: Call, path: str, options: Container[str]) -> tuple[bool, dict[str, Entry]]:
    """Return whether `ls` lists what a directory holds, and the entries to list by name. Raise OSError."""
    where = call.path(path)
    itself = call.disk.stat(where)
    if not itself.directory or "d" in options:
        return False, {path: itself}
    hidden = "a" in options or "A" in options
    names = [name for name in call.disk.listdir(where) if hidden or not name.startswith(".")]
    return True, {name: call.disk.stat(posixpath.join(where, name)) for name in names}


def _long(name: str, entry: Entry) -> str:
    kind = stat.filemode((stat.S_IFDIR if entry.directory else stat.S_IFREG) | entry.mode)
    modified = time.strftime("%b %e %H:%M", time.gmtime(entry.modified))
    return f"{kind} {entry.links:2} root root {entry.size:12} {modified} {name}"


@program("cat")
async def _cat(call: Call) -> int:
    _, paths = options_of(call, "")
    status = 0
    for path in paths or ["-"]:
        try:
            call.streams.write(await _content(call, path))
        except OSError as error:
            status = call.fail(f"{path}: {reason(error)}")
    return status


async def _content(call: Call, path: str) -> str:
    """Return the content of a file, or the standard input for `-`. Raise OSError."""
    if path == "-":
        return await call.streams.read.read()
    return call.disk.read_file(call.path(path)).decode(errors="surrogateescape")


@program("head", "tail")
async def _head(call: Call) -> int:
    """Print the first or last lines, 10 or as `-n` says; `tail -n +2` counts from the beginning, `-f` follows."""
    arguments = [re.sub(r"^-([0-9]+)$", r"-n\1", argument) for argument in call.arguments]  # -5 is -n 5
    options, paths = options_of(replace(call, arguments=arguments), "n:fF")
    count = options.get("n", "10")
    if not re.fullmatch("[+-]?[0-9]+", count):
        raise Usage(f"invalid number of lines: '{count}'")
    try:
        lines = "".join([await _content(call, path) for path in paths or ["-"]]).splitlines(keepends=True)
    except OSError as error:
        return call.fail(f"cannot open '{paths[0]}' for reading: {reason(error)}")
    number = abs(long_of(count))
    if call.name.endswith("head"):
        chosen = lines[:-number] if count.startswith("-") else lines[:number]
    else:
        chosen = lines[number - 1 :] if count.startswith("+") else lines[max(0, len(lines) - number) :]
    call.streams.write("".join(chosen))
    if paths and call.name.endswith("tail") and options.keys() & {"f", "F"}:
        await until_interrupted(_follow(call, call.path(paths[-1]), len("".join(lines))), call.streams.read)
    return 0


async def _follow(call: Call, path: str, seen: int) -> None:
    """Print what a file gets after its first `seen` characters, for as long as a command may run."""
    clock = call.shell.machine.clock
    ends = clock.monotonic() + LONGEST_SLEEP
    while clock.monotonic() < ends:
        await clock.sleep(FOLLOW_SECONDS)
        if call.disk.is_file(path):
            text = await _content(call, path)
            call.streams.write(text[seen if len(text) >= seen else 0 :])
            seen = len(text)


@program("dd")
async def _dd(call: Call) -> int:
    """Write zeros to a file, which take no memory; other copies fail."""
    operands = {"bs": "512", "if": "", "of": "", "count": ""}
    for argument in call.arguments:
        name, _, value = argument.partition("=")
        if name not in (*operands, "conv", "oflag", "status"):
            raise Usage(f"unrecognized operand '{argument}'")
        operands[name] = value
    size = _bytes(operands["bs"]) * _bytes(operands["count"] or "0")
    if operands["if"] != "/dev/zero" or not operands["count"] or not operands["of"]:
        return call.fail("this host copies only if=/dev/zero of=FILE count=BLOCKS")
    try:
        file = call.disk.open(call.path(operands["of"]), create=True, write=True, truncate=True)
    except OSError as error:
        return call.fail(f"failed to open '{operands['of']}': {reason(error)}")
    room = min(size, file.statvfs().available * BLOCK)
    file.extend(room)
    if room < size:
        call.fail(f"error writing '{operands['of']}': No space left on device")
    call.streams.complain(f"{room} bytes copied\n")
    return int(room < size)


def _bytes(text: str) -> int:
    found = re.fullmatch("([0-9]+)([ckKMGTP]?)", text)
    if found is None:
        raise Usage(f"invalid number: '{text}'")
    return long_of(found[1]) * _UNITS[found[2]]
