"""The shell of simulated hosts: runs what `syntax` parses, with the commands of the host."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from imagestore_sim.clock import Clock
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.hosts.syntax import (
    Chain,
    Group,
    Literal,
    Parameter,
    Pipeline,
    Redirection,
    Script,
    Simple,
    Substitution,
    SyntaxProblem,
    Word,
    read_lines,
)

NOT_FOUND = 127
NOT_EXECUTABLE = 126
SYNTAX_ERROR = 2
LONG_MAX = 2**63 - 1
LONGEST_NUMBER = 1000
"""Characters of a number that are read: int() takes no more than some thousands, and needs long for those."""
MOST_WORD = 2 * 2**20
"""Characters of one word after its expansion: Linux passes no more to a program."""
MOST_CAPTURED = 64 * 2**20
"""Characters that one command passes to another; a file that a program reads has the same limit (`MOST_READ`)."""
NO_SPACE = "Out of space"
"""What dash says when it gets no more memory."""
PROGRAM_FOLDERS = ("/bin", "/sbin", "/usr/bin", "/usr/sbin")
_NULL = "/dev/null"
_BLANKS = re.compile(r"[ \t\n]+")
_PATTERN = re.compile(r"[*?\[]")

Write = Callable[[str], None]


class Input(Protocol):
    """The standard input of a command."""

    async def read(self) -> str:
        """Return everything up to the end."""

    async def readline(self) -> str:
        """Return a line with its end; an empty text at the end of all."""


class Text:
    """Input from a text."""

    def __init__(self, text: str = "") -> None:
        self._text = text

    async def read(self) -> str:
        """Return what is left of the text."""
        text, self._text = self._text, ""
        return text

    async def readline(self) -> str:
        """Return the next line with its end; an empty text at the end of all."""
        line, end, self._text = self._text.partition("\n")
        return line + end


@dataclass(frozen=True, slots=True)
class Streams:
    """Standard input, output and error of a command."""

    read: Input
    write: Write
    complain: Write


class Service(Protocol):
    """The agent of a host, as its service."""

    @property
    def is_running(self) -> bool:
        """Return whether it runs."""

    async def start(self) -> bool:
        """Start it; return whether it runs then. Raise OSError."""

    async def stop(self) -> None:
        """Stop it. Raise OSError."""

    def restart(self) -> None:
        """Restart it."""


class Machine(Protocol):
    """The host that a shell runs on."""

    @property
    def name(self) -> str:
        """Return its host name."""

    @property
    def disk(self) -> VirtualDisk:
        """Return its root disk, with what is mounted there."""

    @property
    def clock(self) -> Clock:
        """Return the clock that it lives by."""

    @property
    def commands(self) -> Mapping[str, Command]:
        """Return the commands that it can run now, by name."""

    @property
    def processes(self) -> Sequence[str]:
        """Return the command lines of the programs that run on it."""

    @property
    def agent(self) -> Service:
        """Return its agent."""


@dataclass(frozen=True, slots=True)
class Call:
    """A command that is run: `arguments` come after its name, `variables` are its environment."""

    name: str
    arguments: list[str]
    shell: Shell
    streams: Streams
    line: int
    variables: Mapping[str, str]

    @property
    def disk(self) -> VirtualDisk:
        """Return the root disk of the host."""
        return self.shell.machine.disk

    def path(self, path: str) -> str:
        """Return `path` as an absolute path; an empty one stays empty."""
        return posixpath.join(self.shell.folder, path) if path else ""

    def say(self, line: str) -> None:
        """Print a line to standard output."""
        self.streams.write(f"{line}\n")

    def fail(self, text: str, status: int = 1) -> int:
        """Print `NAME: text` to standard error, as a program does; return the exit status."""
        self.streams.complain(f"{self.name}: {text}\n")
        return status

    def fail_in_shell(self, text: str, status: int = SYNTAX_ERROR) -> int:
        """Print `sh: 1: NAME: text` to standard error, as a builtin does; return the exit status."""
        self.shell.complain(self.line, f"{self.name}: {text}", self.streams)
        return status


@dataclass(frozen=True, slots=True)
class Command:
    """A command: `run` returns its exit status; a `builtin` only the shell itself can run."""

    run: Callable[[Call], Awaitable[int]]
    builtin: bool = False


class Exit(Exception):
    """The shell exits, with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class Shell:
    """A shell: its variables, positional parameters and working directory."""

    machine: Machine
    username: str
    name: str = "sh"
    arguments: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    folder: str = "/"
    status: int = 0

    @classmethod
    def at_login(cls, machine: Machine, username: str) -> Shell:
        """Return the login shell of a user, in the home directory where that exists, else in /."""
        home = home_of(machine.disk, username)
        variables = {"HOME": home, "LOGNAME": username, "USER": username, "SHELL": "/bin/sh"}
        variables["PATH"] = ":".join(reversed(PROGRAM_FOLDERS))
        return cls(machine, username, variables=variables, exported=set(variables), folder=home)

    @property
    def environment(self) -> dict[str, str]:
        """Return the exported variables."""
        return {name: value for name, value in self.variables.items() if name in self.exported}

    def child(self, name: str, arguments: list[str], variables: Mapping[str, str]) -> Shell:
        """Return a shell that this one runs as a program."""
        return Shell(self.machine, self.username, name, arguments, dict(variables), set(variables), self.folder)

    def complain(self, line: int, text: str, streams: Streams) -> None:
        """Print an error about a line of a script, as dash does."""
        streams.complain(f"{self.name}: {line}: {text}\n")

    async def run(self, text: str, streams: Streams) -> int:
        """Run a script up to its end, `exit` or a syntax error; return its exit status."""
        try:
            for script in read_lines(text):
                await self.execute(script, streams)
        except SyntaxProblem as problem:
            self.complain(problem.line, f"Syntax error: {problem}", streams)
            self.status = SYNTAX_ERROR
        except Exit as ended:
            self.status = ended.status
        return self.status

    async def execute(self, script: Script, streams: Streams) -> int:
        """Run commands that have been parsed; return the exit status. Raise Exit."""
        for chain in script:
            await self._chain(chain, streams)
        return self.status

    async def call(
        self, words: list[str], streams: Streams, variables: Mapping[str, str], line: int, *, program: bool
    ) -> int | None:
        """Run a command by its words; return its exit status, or None when there is no such command.

        With `program`, builtins of the shell are not found: `env` and `timeout` run programs only.
        """
        folder, _, name = words[0].rpartition("/")
        command = self.machine.commands.get(name)
        if folder and (command is None or folder not in PROGRAM_FOLDERS):
            return await self._script(words, streams, variables, line)
        if command is None or (command.builtin and (program or folder)):
            return None
        return await command.run(Call(words[0], words[1:], self, streams, line, variables))

    async def _script(self, words: list[str], streams: Streams, variables: Mapping[str, str], line: int) -> int | None:
        """Run a script of the disk by its path; return its exit status, or None when there is no such file."""
        path = posixpath.join(self.folder, words[0])
        if not self.machine.disk.is_file(path):
            return None
        try:
            self.machine.disk.require_executable(path)
            text = self.machine.disk.read_file(path).decode(errors="surrogateescape")
        except OSError as error:
            self.complain(line, f"{words[0]}: {error.strerror}", streams)
            return NOT_EXECUTABLE
        return await self.child(words[0], words[1:], variables).run(text, streams)

    # Running

    async def _chain(self, chain: Chain, streams: Streams) -> None:
        await self._pipeline(chain.first, streams)
        for operator, pipeline in chain.others:
            if (self.status == 0) == (operator == "&&"):
                await self._pipeline(pipeline, streams)

    async def _pipeline(self, pipeline: Pipeline, streams: Streams) -> None:
        """Run the commands of a pipeline one after another, each in a subshell with the output of the one before."""
        *before, last = pipeline.commands
        for command in before:
            printed = _Captured()
            await self._in_subshell((command,), replace(streams, write=printed.write))
            streams = replace(streams, read=Text(printed.text()))
        if before:
            self.status = await self._in_subshell((last,), streams)
        else:
            self.status = await self._command(last, streams)
        if pipeline.negated:
            self.status = int(self.status == 0)

    async def _in_subshell(self, commands: tuple[Simple | Group, ...], streams: Streams) -> int:
        shell = replace(self, variables=dict(self.variables), exported=set(self.exported))
        try:
            return await shell.execute(tuple(Chain(Pipeline((one,), False), ()) for one in commands), streams)
        except Exit as ended:
            return ended.status

    async def _command(self, command: Simple | Group, streams: Streams) -> int:
        try:
            streams = await self._redirect(command.redirections, streams)
            if isinstance(command, Simple):
                return await self._simple(command, streams)
            if command.subshell:
                return await self._in_subshell((replace(command, subshell=False, redirections=()),), streams)
            return await self.execute(command.body, streams)
        except _Refused as refused:
            self.complain(command.line, str(refused), streams)
            return SYNTAX_ERROR

    async def _simple(self, command: Simple, streams: Streams) -> int:
        words = [field for word in command.words for field in await self._fields(word, streams)]
        assigned = {name: await self._text(word, streams) for name, word in command.assignments}
        if not words:
            self.variables |= assigned
            parts = (part for _, word in command.assignments for part in word.parts)
            return self.status if any(isinstance(part, Substitution) for part in parts) else 0
        status = await self.call(words, streams, self.environment | assigned, command.line, program=False)
        if status is None:
            self.complain(command.line, f"{words[0]}: not found", streams)
            return NOT_FOUND
        return status

    # Redirections

    async def _redirect(self, redirections: tuple[Redirection, ...], streams: Streams) -> Streams:
        for redirection in redirections:
            target = await self._text(redirection.target, streams)
            if redirection.operator == ">&":
                streams = _duplicate(streams, redirection.stream, target)
            elif redirection.operator == "<&" or (redirection.operator == "<") != (redirection.stream == 0):
                raise _Refused(f"{target}: bad fd number")
            elif redirection.operator == "<":
                streams = replace(streams, read=self._reader(target))
            else:
                write = self._writer(target, append=redirection.operator == ">>")
                streams = replace(streams, write=write) if redirection.stream == 1 else replace(streams, complain=write)
        return streams

    def _reader(self, target: str) -> Input:
        if target == _NULL:
            return Text()
        try:
            content = self.machine.disk.read_file(posixpath.join(self.folder, target))
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            raise _Refused(f"cannot open {target}: {'No such file' if missing else error.strerror}") from error
        return Text(content.decode(errors="surrogateescape"))

    def _writer(self, target: str, append: bool) -> Write:
        if target == _NULL:
            return _ignore
        try:
            file = self.machine.disk.open(
                posixpath.join(self.folder, target), write=True, create=True, truncate=not append
            )
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            raise _Refused(
                f"cannot create {target}: {'Directory nonexistent' if missing else error.strerror}"
            ) from error

        def write(text: str) -> None:
            try:
                file.write(file.size, text.encode(errors="surrogateescape"))
            except OSError as error:
                raise _Refused(f"{target}: write error: {error.strerror}") from error

        return write

    # Expansion

    async def _text(self, word: Word, streams: Streams) -> str:
        """Expand a word to one text, neither split nor matched against paths."""
        text = "".join([await self._value(part, streams) for part in self._with_home(word).parts])
        if len(text) > MOST_WORD:
            raise _Refused(NO_SPACE)
        return text

    async def _fields(self, word: Word, streams: Streams) -> list[str]:
        """Expand a word, split it where it is not quoted, and match the fields against paths."""
        fields = _Fields()
        for part in self._with_home(word).parts:
            if isinstance(part, Parameter) and part.name == "@":
                fields.add_all(self.arguments, part.quoted)
            elif isinstance(part, Literal) or part.quoted:
                fields.add(await self._value(part, streams), part.quoted)
            else:
                fields.split(await self._value(part, streams))
            if fields.size > MOST_WORD:
                raise _Refused(NO_SPACE)
        return [path for runs in fields.found for path in self._matching(runs)]

    def _with_home(self, word: Word) -> Word:
        """Put the home directory for a `~` at the beginning of a word."""
        match word.parts:
            case (Literal(text, False), *others) if text == "~" or text.startswith("~/"):
                home = Literal(self.variables.get("HOME", "~"), True)
                return Word((home, Literal(text[1:], False), *others))
        return word

    async def _value(self, part: Literal | Parameter | Substitution, streams: Streams) -> str:
        if isinstance(part, Literal):
            return part.text
        if isinstance(part, Parameter):
            return self._parameter(part.name)
        printed = _Captured()
        body = Group(0, part.body, False, ())
        self.status = await self._in_subshell((body,), replace(streams, write=printed.write))
        return printed.text().rstrip("\n")

    def _parameter(self, name: str) -> str:
        special = {"?": str(self.status), "#": str(len(self.arguments)), "$": "1", "0": self.name}
        if name in special:
            return special[name]
        if name in ("@", "*"):
            return " ".join(self.arguments)
        if name.isascii() and name.isdecimal():
            number = long_of(name)
            if number == 0:
                return self.name
            return self.arguments[number - 1] if 0 < number <= len(self.arguments) else ""
        return self.variables.get(name, "")

    def _matching(self, runs: list[tuple[str, bool]]) -> list[str]:
        """Return the paths that match a field with unquoted `*`, `?` or `[...]`; the field itself when none does."""
        text = "".join(run for run, _ in runs)
        if not any(not quoted and _PATTERN.search(run) for run, quoted in runs):
            return [text]
        pattern = "".join(_PATTERN.sub(r"[\g<0>]", run) if quoted else run for run, quoted in runs)
        found = [""] if not pattern.startswith("/") else ["/"]
        for part in pattern.strip("/").split("/"):
            found = [path for base in found for path in self._entries(base, part)]
        return found or [text]

    def _entries(self, base: str, pattern: str) -> Iterator[str]:
        try:
            names = self.machine.disk.listdir(posixpath.join(self.folder, base))
        except OSError:
            return  # a directory that cannot be listed matches nothing
        for name in names:
            if fnmatch.fnmatchcase(name, pattern) and name.startswith(".") <= pattern.startswith("."):
                yield posixpath.join(base, name)


class _Refused(Exception):
    """A redirection or an expansion that fails; the text is dash's."""


class _Captured:
    """The output of a command that another one reads."""

    def __init__(self) -> None:
        self._printed: list[str] = []
        self._size = 0

    def write(self, text: str) -> None:
        """Keep a text. Raise _Refused beyond MOST_CAPTURED characters."""
        self._size += len(text)
        if self._size > MOST_CAPTURED:
            raise _Refused(NO_SPACE)
        self._printed.append(text)

    def text(self) -> str:
        """Return all that was written."""
        return "".join(self._printed)


@dataclass(slots=True)
class _Fields:
    """Fields under construction, each of runs of text that are quoted or not."""

    found: list[list[tuple[str, bool]]] = field(default_factory=list)
    size: int = 0
    """Characters in all of them."""
    _open: bool = False  # whether what comes next belongs to the last field

    def add(self, text: str, quoted: bool) -> None:
        """Add to the current field; quoted text makes a field even when it is empty."""
        if text or quoted:
            if not self._open:
                self.found.append([])
                self._open = True
            self.found[-1].append((text, quoted))
            self.size += len(text)

    def add_all(self, texts: list[str], quoted: bool) -> None:
        """Add a field for each text: the first continues the current field, the last stays open for what follows."""
        for number, text in enumerate(texts):
            if number:
                self._open = False
            if quoted:
                self.add(text, True)
            else:
                self.split(text)

    def split(self, text: str) -> None:
        """Add text whose blanks end fields."""
        for number, piece in enumerate(_BLANKS.split(text)):
            if number:
                self._open = False
            self.add(piece, False)


def long_of(text: str) -> int:
    """Return the whole number in a text of digits, which may have a sign, as strtol does: the nearest that fits."""
    if len(text) > LONGEST_NUMBER:
        return -LONG_MAX - 1 if text.startswith("-") else LONG_MAX
    return max(-LONG_MAX - 1, min(int(text), LONG_MAX))


def home_of(disk: VirtualDisk, username: str) -> str:
    """Return the home directory of a user if it exists, else /."""
    home = "/root" if username == "root" else f"/home/{username}"
    return home if disk.is_directory(home) else "/"


def _duplicate(streams: Streams, stream: int, target: str) -> Streams:
    """Return the streams after `2>&1` or `1>&2`."""
    match (stream, target):
        case (2, "1"):
            return replace(streams, complain=streams.write)
        case (1, "2"):
            return replace(streams, write=streams.complain)
        case (1, "1") | (2, "2"):
            return streams
    raise _Refused(f"Syntax error: Bad fd number: {target}")


def _ignore(_text: str) -> None:
    """Drop a text, as /dev/null does."""
