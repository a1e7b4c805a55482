"""df and stat: the space of virtual disks, in the formats of GNU."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from imagestore_sim.hosts.commands.declare import Usage, options_of, program, reason
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.hosts.open_file import Entry
from imagestore_sim.hosts.shell import Call
from imagestore_sim.statvfs import BLOCK, Statvfs

_MAGIC = "ef53"  # of ext2 to ext4
_UNITS = {"": 1, "K": 1024, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


class _Source(NamedTuple):
    """A mounted file system as df names it."""

    device: str
    point: str
    numbers: Statvfs


def _sources(disk: VirtualDisk) -> list[_Source]:
    """Return what is mounted, the root first and each device once; they have letters as those of a virtual machine."""
    found: dict[int, tuple[str, Statvfs]] = {}
    for point, one in disk.file_systems():
        numbers = one.numbers()
        found.setdefault(numbers.device, (point, numbers))
    return [_Source(f"/dev/vd{_letters(n)}", *one) for n, one in enumerate(found.values())]


def _letters(number: int) -> str:
    return ("" if number < 26 else _letters(number // 26 - 1)) + chr(ord("a") + number % 26)


@program("df")
async def _df(call: Call) -> int:
    options, paths = options_of(call, "akPB:hiTlx:t:")
    sources = _sources(call.disk)
    chosen: list[_Source] = [] if paths else sources
    status = 0
    for path in paths:
        try:
            device = call.disk.statvfs(call.path(path)).device
        except OSError as error:
            status = call.fail(f"{path}: {reason(error)}")
            continue
        chosen.append(next(source for source in sources if source.numbers.device == device))
    if chosen:
        kinds = "T" in options
        heading, figures = _inodes(options) if "i" in options else _space(options)
        rows = [("Filesystem", *(["Type"] if kinds else []), *heading, "Mounted on")]
        rows += [(s.device, *(["ext4"] if kinds else []), *figures(s.numbers), s.point) for s in chosen]
        _print_table(call, rows, left=2 if kinds else 1)
    return status


Figures = Callable[[Statvfs], tuple[str, ...]]


def _space(options: Mapping[str, str]) -> tuple[tuple[str, ...], Figures]:
    """Return the headings and figures of df, in the unit of its options."""
    if "h" in options:
        return ("Size", "Used", "Avail", "Use%"), lambda found: (
            *(_human(blocks * BLOCK) for blocks in (found.blocks, found.used, found.available)),
            _per_cent(found.used, found.available),
        )
    portable = "P" in options
    unit, letter = _unit(options["B"]) if "B" in options else (1024, "K")
    size = f"{unit}-blocks" if portable else f"1{letter}-blocks"
    return (size, "Used", "Available", "Capacity" if portable else "Use%"), lambda found: (
        *(str(-(-blocks * BLOCK // unit)) for blocks in (found.blocks, found.used, found.available)),
        _per_cent(found.used, found.available),
    )


def _unit(text: str) -> tuple[int, str]:
    """Return bytes and letter of a block size such as `1`, `K` or `1M`. Raise Usage."""
    found = re.fullmatch(r"1?([KMGTP]?)", text)
    if not text or found is None:
        raise Usage(f"invalid -B argument '{text}'")
    return _UNITS[found[1]], found[1] or "B"


def _inodes(options: Mapping[str, str]) -> tuple[tuple[str, ...], Figures]:
    show = _human if "h" in options else str
    return ("Inodes", "IUsed", "IFree", "IUse%"), lambda found: (
        show(found.inodes),
        show(found.inodes - found.free_inodes),
        show(found.free_inodes),
        _per_cent(found.inodes - found.free_inodes, found.free_inodes),
    )


def _per_cent(used: int, available: int) -> str:
    return f"{-(-used * 100 // (used + available))}%" if used + available else "-"


def _human(number: int) -> str:
    """Return a number as GNU's -h shows it, rounded up: 9.8G, 10G."""
    unit, letters = 1, iter("KMGTPEZYRQ")
    letter = ""
    while number >= unit * 1024:
        unit *= 1024
        letter = next(letters)
    tenths = -(-number * 10 // unit)
    return f"{tenths // 10}.{tenths % 10}{letter}" if letter and tenths < 100 else f"{-(-number // unit)}{letter}"


def _print_table(call: Call, rows: list[tuple[str, ...]], left: int) -> None:
    """Print columns as GNU df has them: the first `left` to the left, the last as it is, the rest to the right."""
    least = (*(14, 4)[:left], 5, 5, 5, 4)
    widths = [max(width, *(len(row[n]) for row in rows)) for n, width in enumerate(least)]
    for row in rows:
        cells = [row[n].ljust(width) if n < left else row[n].rjust(width) for n, width in enumerate(widths)]
        call.say(" ".join([*cells, row[-1]]))


@program("stat")
async def _stat(call: Call) -> int:
    options, paths = options_of(call, "fc:L", ("format=", "file-system"))
    if not paths:
        raise Usage("missing operand")
    of_file_system = "f" in options or "file-system" in options
    text = options.get("c", options.get("format", _FILE_SYSTEM_FORMAT if of_file_system else _ENTRY_FORMAT))
    status = 0
    for path in paths:
        try:
            where = call.path(path)
            known = (
                _file_system_fields(call, path, where) if of_file_system else _entry_fields(path, call.disk.stat(where))
            )
        except OSError as error:
            what = "cannot read file system information for" if of_file_system else "cannot statx"
            status = call.fail(f"{what} '{path}': {reason(error)}")
            continue
        call.say(_filled(text, {**known, "%": "%"}))
    return status


def _filled(text: str, fields: Mapping[str, str]) -> str:
    """Return a format with its fields filled in; `?` where there is no such field."""
    return re.sub(r"%([%A-Za-z])", lambda found: fields.get(found[1], "?"), text)


_FILE_SYSTEM_FORMAT = """\
  File: "%n"
    ID: %i Namelen: %l     Type: %T
Block size: %s       Fundamental block size: %S
Blocks: Total: %b   Free: %f   Available: %a
Inodes: Total: %c   Free: %d"""
_ENTRY_FORMAT = """\
  File: %n
  Size: %s      Blocks: %b          IO Block: %o   %F
Device: %D\tInode: %i           Links: %h
Access: (0%a/%A)  Uid: (    0/    root)   Gid: (    0/    root)
Modify: %y"""


def _file_system_fields(call: Call, path: str, where: str) -> Mapping[str, str]:
    found = call.disk.statvfs(where)
    numbers = {"S": BLOCK, "s": BLOCK, "b": found.blocks, "f": found.free, "a": found.available}
    numbers |= {"c": found.inodes, "d": found.free_inodes, "l": 255}
    texts = {"n": path, "T": "ext2/ext3", "t": _MAGIC, "i": f"{found.device:x}"}
    return texts | {letter: str(number) for letter, number in numbers.items()}


def _entry_fields(path: str, entry: Entry) -> Mapping[str, str]:
    kind = (stat.S_IFDIR if entry.directory else stat.S_IFREG) | entry.mode
    numbers = {"s": entry.size, "b": -(-entry.size // BLOCK) * 8, "B": 512, "o": BLOCK, "i": entry.inode}
    numbers |= {"d": entry.device, "h": entry.links, "u": 0, "g": 0, "Y": int(entry.modified)}
    modified = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(entry.modified))
    texts = {"n": path, "a": f"{entry.mode:o}", "f": f"{kind:x}", "A": stat.filemode(kind), "U": "root", "G": "root"}
    texts |= {"F": "directory" if entry.directory else "regular file", "D": f"{entry.device:x}", "y": modified}
    return texts | {letter: str(number) for letter, number in numbers.items()}
