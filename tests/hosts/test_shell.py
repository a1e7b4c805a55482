"""The hosts' shell: the output of scripts and commands, compared with this machine's own where it has them."""

from __future__ import annotations

import asyncio
import posixpath
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import SimulatedHost, VirtualDisk
from imagestore_sim.hosts.commands import COMMANDS, without
from imagestore_sim.hosts.shell import Command, Service, Shell, Streams, Text, home_of
from rows import rows

BLOCK = 4096


class StoppedAgent:
    """An agent that cannot run."""

    is_running = False

    async def start(self) -> bool:
        return False

    async def stop(self) -> None:
        pass

    def restart(self) -> None:
        pass


@dataclass
class Machine:
    """The host of a shell."""

    name: str = "imagestore-1"
    disk: VirtualDisk = field(default_factory=lambda: VirtualDisk(1000 * BLOCK, 250 * BLOCK, reserved=50 * BLOCK))
    clock: Clock = field(default_factory=RealClock)
    commands: Mapping[str, Command] = field(default_factory=lambda: COMMANDS)
    processes: Sequence[str] = ("/usr/sbin/sshd -D",)
    agent: Service = field(default_factory=StoppedAgent)

    async def run(self, script: str, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """Run a script as root; return its exit status, output and errors."""
        printed: list[str] = []
        complaints: list[str] = []
        shell = Shell.at_login(self, "root")
        shell.arguments = list(arguments)
        status = await shell.run(script, Streams(Text(stdin), printed.append, complaints.append))
        return status, "".join(printed), "".join(complaints)


@pytest.fixture
def machine() -> Machine:
    return _furnished()


def _furnished() -> Machine:
    made = Machine()
    made.disk.furnish(["/root", "/tmp"])
    return made


# What a shell does with a script, each compared with /bin/sh where this machine's is dash
SCRIPTS = [
    "",
    "# nothing but a comment",
    "echo one; echo two",
    "echo one\necho two # three",
    "echo 'single  $x' \"double  $x\" bare\\ $x",
    'x="a  b"; echo $x "$x" ${x}c',
    "x=1 y=2; echo $x$y",
    "x=; echo [$x]",
    'x="a b"; $x; echo $?',
    't="echo -n"; $t no end',
    "true && echo yes || echo no",
    "false && echo yes || echo no",
    "false; echo $?",
    "! true; echo $?; ! false; echo $?",
    "{ echo grouped; false; }; rc=$?; echo $rc",
    "{ echo to stderr >&2; echo to stdout; } 2>&1",
    "{ echo gone; echo gone too >&2; } >/dev/null 2>&1; echo left",
    "nosuch 2>/dev/null || echo missing",
    'echo $(echo inner; echo lines) "$(echo inner; echo lines)"',
    "(x=1; exit 3); echo $? [$x]",
    "echo piped | cat",
    "echo one two | { cat; echo after; }",
    "exit 7; echo never",
    "exit",
    "echo a\\\nb",
    'echo "a\\"b\\\\c\\d\\$x"',
    "echo 'a\\tb\\\\n\\q'",
    "echo ''\"\" ''",
    "echo a'b'\"c\"d",
    "[ 3 -gt 2 ] && test 2 -le 2 && [ a = a ] && [ a != b ] && [ -z '' ] && [ -n x ] && [ ! -d /nosuch ]; echo $?",
    "test -d / && test -e / && ! test -f / && test -w /tmp; echo $?",
    "[ ]; echo $?; test x; echo $?",
    "printf '%s=%d|%5s|%-5s|%%\\n' a 1 b c d",
    "printf 'plain\\ttext\\n'",
    "printf '%x %X %o %u %c%c %b' 255 255 8 7 abc d 'x\\ny'; printf '%x' -1",
    "printf '%q' x; echo $?",
    "printf '%5' x; echo $?",
    "printf 'no conversion' a b",
    "test 99999999999999999999999 -gt 1; echo $?",
    "exit 99999999999999999999",
    'x=$(false); echo $?; false; x=$?; echo $? $x; x="$(exit 3)"; echo $?',
    "echo [${00}]",
    "echo a\rb; 'nosuch\r'",
    "nosuch\r",
    "echo one\x0btwo\xa0three",
    "env -i A=1 sh -c 'echo $A $0 $1' name arg",
    "export A=1; sh -c 'echo $A'; B=2; sh -c 'echo [$B]'; C=3 sh -c 'echo $C'; echo [$C]",
    "unset HOME; echo [$HOME]",
    "timeout 5 echo in time",
    "timeout -k 1 0.05 sleep 5; echo $?",
    "cd /; pwd; cd tmp; pwd; cd ..; pwd",
    "true 2>&1 >/dev/null; echo $?",
    "cat < /dev/null; echo $?",
    "echo one > /dev/null; echo two",
    'seq=1; echo $seq; seq=2; echo "$seq"',
    "printf '1\\n2\\n3\\n' | tail -n 1; printf '1\\n2\\n3\\n' | head -1; printf '1\\n2\\n3\\n' | tail -n +2",
]


IN_DASH = """\
number=0
for script; do
  env -i LC_ALL=C PATH=/usr/bin:/bin HOME=/root dash -c "$script" sh >output-$number 2>errors-$number </dev/null
  echo $? >status-$number
  number=$((number + 1))
done
"""
"""A script that runs those in its arguments: to start a process from this one costs ten times as much."""


@pytest.mark.skipif(shutil.which("dash") is None, reason="compares with dash, which is not installed")
async def test_a_script_does_what_it_does_in_dash(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec("dash", "-c", IN_DASH, "sh", *SCRIPTS, cwd=tmp_path)
    assert await process.wait() == 0

    def left(what: str, number: int) -> str:
        return (tmp_path / f"{what}-{number}").read_bytes().decode()  # read_text would make \n of \r

    numbers = {script: number for number, script in enumerate(SCRIPTS)}
    expected = {one: (int(left("status", at)), left("output", at), left("errors", at)) for one, at in numbers.items()}
    assert {script: await _furnished().run(script) for script in SCRIPTS} == expected


WRONG = [
    ("nosuch", 127, "sh: 1: nosuch: not found\n"),
    ("true\nnosuch", 127, "sh: 2: nosuch: not found\n"),
    ("fi", 2, 'sh: 1: Syntax error: "fi" unexpected\n'),
    ("true; }", 2, 'sh: 1: Syntax error: "}" unexpected\n'),
    ("true)", 2, 'sh: 1: Syntax error: ")" unexpected\n'),
    ("true ;; true", 2, 'sh: 1: Syntax error: ";;" unexpected\n'),
    ("&& true", 2, 'sh: 1: Syntax error: "&&" unexpected\n'),
    ("true\n\n| true", 2, 'sh: 3: Syntax error: "|" unexpected\n'),
    ("{ true", 2, 'sh: 1: Syntax error: end of file unexpected (expecting "}")\n'),
    ("(true", 2, 'sh: 1: Syntax error: end of file unexpected (expecting ")")\n'),
    ("true &&", 2, "sh: 1: Syntax error: end of file unexpected\n"),
    ("echo 'abc", 2, "sh: 1: Syntax error: Unterminated quoted string\n"),
    ('echo "abc', 2, "sh: 1: Syntax error: Unterminated quoted string\n"),
    ("cd /nosuch", 2, "sh: 1: cd: can't cd to /nosuch\n"),
    ("echo > /nosuch/x", 2, "sh: 1: cannot create /nosuch/x: Directory nonexistent\n"),
    ("cat < /nosuch", 2, "sh: 1: cannot open /nosuch: No such file\n"),
    ("[ 1 -eq a ]", 2, "sh: 1: [: Illegal number: a\n"),
    ("[ 1", 2, "sh: 1: [: missing ]\n"),
    ("exit abc", 2, "sh: 1: exit: Illegal number: abc\n"),
    ("exit \u0663", 2, "sh: 1: exit: Illegal number: \u0663\n"),
    ("env nosuch", 127, "env: 'nosuch': No such file or directory\n"),
    ("timeout 1 nosuch", 127, "timeout: failed to run command 'nosuch': No such file or directory\n"),
    ("timeout 1 cd /", 127, "timeout: failed to run command 'cd': No such file or directory\n"),
    ("df /nosuch", 1, "df: /nosuch: No such file or directory\n"),
    ("df -Z", 1, "df: invalid option -- 'Z'\nTry 'df --help' for more information.\n"),
    ("stat", 1, "stat: missing operand\nTry 'stat --help' for more information.\n"),
    ("stat -f /nosuch", 1, "stat: cannot read file system information for '/nosuch': No such file or directory\n"),
    ("ls /nosuch", 2, "ls: cannot access '/nosuch': No such file or directory\n"),
    ("mkdir /nosuch/x", 1, "mkdir: cannot create directory '/nosuch/x': No such file or directory\n"),
    ("mkdir -p /dev/null/x", 1, "mkdir: cannot create directory '/dev/null': Not a directory\n"),
    ("rmdir /nosuch", 1, "rmdir: failed to remove '/nosuch': No such file or directory\n"),
    ("rm /nosuch", 1, "rm: cannot remove '/nosuch': No such file or directory\n"),
    ("rm /tmp", 1, "rm: cannot remove '/tmp': Is a directory\n"),
    ("rm -f /nosuch", 0, ""),
    ("cat /nosuch", 1, "cat: /nosuch: No such file or directory\n"),
    ("sleep x", 1, "sleep: invalid time interval 'x'\nTry 'sleep --help' for more information.\n"),
]


@rows(("script", "status", "complaint"), WRONG)
async def test_an_error_has_the_words_of_dash_and_gnu(
    machine: Machine, script: str, status: int, complaint: str
) -> None:
    machine.disk.furnish(["/dev"])
    machine.disk.write_file("/dev/null", b"")
    assert await machine.run(script) == (status, "", complaint)


@pytest.mark.parametrize(
    "script",
    ["if true; then echo; fi", "for x in a; do echo; done", "sleep 1 &", "echo `pwd`", "echo $((1 + 1))", "f() { :; }",
     "cat << END", "echo ${x:-y}", "case a in a) ;; esac"],
)  # fmt: skip
async def test_unknown_syntax_is_an_error_and_no_part_of_it_runs(machine: Machine, script: str) -> None:
    status, printed, complaint = await machine.run(script)
    assert (status, printed) == (2, "")
    assert complaint.startswith("sh: 1: Syntax error: ")


async def test_lines_before_a_mistake_are_run(machine: Machine) -> None:
    assert (await machine.run("echo one\nfi\necho three"))[:2] == (2, "one\n")


async def test_positional_parameters_keep_their_words(machine: Machine) -> None:
    script = 'echo $# "$1"; printf "<%s>" "$@"; printf "<%s>" $@; printf "<%s>" x"$@"y; echo " $*"'
    _, printed, _ = await machine.run(script, "a  b", "c")
    assert printed == "2 a  b\n<a  b><c><a><b><c><xa  b><cy> a  b c\n"


async def test_paths_match_patterns_that_are_not_quoted(machine: Machine) -> None:
    for name in ("/zs/a1", "/zs/a2", "/zs/.hidden", "/zs/b"):
        machine.disk.make_directory(name, parents=True)
    _, printed, _ = await machine.run("cd /zs; echo a* /z?/[ab]* '*' \"*\" nosuch* .h*; rm -r /zs/*; ls -a /zs")
    assert printed == "a1 a2 /zs/a1 /zs/a2 /zs/b * * nosuch* .hidden\n.hidden\n"


async def test_files_are_written_appended_and_read(machine: Machine) -> None:
    _, printed, _ = await machine.run(
        "cd; echo one > f; echo two >> f; cat f ~/f; cat < f | tail -1; nosuch 2> e; cat e"
    )
    assert printed == "one\ntwo\none\ntwo\ntwo\nsh: 1: nosuch: not found\n"
    assert machine.disk.read_file(f"{home_of(machine.disk, 'root')}/f") == b"one\ntwo\n"


async def test_a_full_disk_and_a_read_only_one_take_no_output(machine: Machine) -> None:
    machine.disk.used = machine.disk.size
    assert await machine.run("echo x > /tmp/f") == (2, "", "sh: 1: /tmp/f: write error: No space left on device\n")
    machine.disk.read_only = True
    assert await machine.run("mkdir -p /zs") == (
        1, "", "mkdir: cannot create directory '/zs': Read-only file system\n",
    )  # fmt: skip
    assert await machine.run("echo > /tmp/g") == (2, "", "sh: 1: cannot create /tmp/g: Read-only file system\n")


async def test_input_is_read_by_cat_and_by_a_shell_without_a_script(machine: Machine) -> None:
    assert (await machine.run("cat", stdin="a\nb")) == (0, "a\nb", "")
    assert (await machine.run("sh", stdin="echo a\nexit 4\necho b")) == (4, "a\n", "")


async def test_a_command_is_found_by_its_path_unless_it_is_the_shell_s_own(machine: Machine) -> None:
    assert (await machine.run("/bin/echo x; /usr/bin/env true"))[1] == "x\n"
    assert (await machine.run("/bin/cd /"))[0] == 127
    assert (await machine.run("/opt/echo x"))[0] == 127


async def test_a_command_that_is_missing_is_missing_everywhere(machine: Machine) -> None:
    machine.commands = without("df")
    assert (await machine.run("df /"))[0] == 127
    assert (await machine.run("env df /"))[0] == 127


# df and stat


async def test_df_prints_what_gnu_s_does(machine: Machine) -> None:
    other = VirtualDisk(2**44, 10**13)
    machine.disk.make_directory("/zs")
    machine.disk.mount("/zs", other)
    assert (await machine.run("df -kP"))[1] == (
        "Filesystem     1024-blocks       Used  Available Capacity Mounted on\n"
        "/dev/vda              4000       1000       2800      27% /\n"
        "/dev/vdb       17179869184 9765625000 7414244184      57% /zs\n"
    )
    assert (await machine.run("df -h / /zs"))[1] == (
        "Filesystem      Size  Used Avail Use% Mounted on\n"
        "/dev/vda        4.0M 1000K  2.8M  27% /\n"
        "/dev/vdb         16T  9.1T  7.0T  57% /zs\n"
    )
    assert (await machine.run("df -B1 -P /zs/"))[1].splitlines()[1].split() == [
        "/dev/vdb", "17592186044416", "10000000000000", "7592186044416", "57%", "/zs",
    ]  # fmt: skip


async def test_df_shows_the_uppermost_of_disks_that_are_mounted_over_each_other(machine: Machine) -> None:
    machine.disk.make_directory("/zs")
    machine.disk.mount("/zs", VirtualDisk(2**40))
    uncover = machine.disk.cover("/zs", VirtualDisk(2**41))
    with pytest.raises(OSError, match="busy"):
        machine.disk.mount("/zs", VirtualDisk())
    for command in ("df -kP /zs", "df -kP"):
        status, printed, _ = await machine.run(command)
        last = printed.splitlines()[-1].split()
        assert (status, last[1], last[-1]) == (0, str(2**31), "/zs"), command
    uncover()
    assert (await machine.run("df -kP /zs"))[1].splitlines()[-1].split()[1] == str(2**30)


async def test_df_has_a_letter_for_any_size(machine: Machine) -> None:
    machine.disk.make_directory("/zs")
    machine.disk.mount("/zs", VirtualDisk(2**71))
    assert (await machine.run("df -h /zs"))[1].splitlines()[-1].split()[1] == "2.0Z"


async def test_df_continues_after_a_path_that_does_not_exist(machine: Machine) -> None:
    status, printed, complaint = await machine.run("df -kP /nosuch /tmp")
    assert (status, len(printed.splitlines()), complaint) == (1, 2, "df: /nosuch: No such file or directory\n")


async def test_df_of_a_disk_without_blocks_shows_no_per_cent(machine: Machine) -> None:
    machine.disk.resize(0)
    assert (await machine.run("df -kP /"))[1].splitlines()[1].split()[4] == "-"


@rows("options", ["-kP", "-P", "-k", "-B1 -P", "-h", "-i", "-T", "-BM", "-hP", "-iP"])
async def test_df_has_the_headings_and_columns_of_this_machine_s(machine: Machine, options: str) -> None:
    real = await _on_this_machine(f"df {options} /")
    heading, record = (await machine.run(f"df {options} /"))[1].splitlines()
    real_heading, real_record = real.splitlines()
    assert heading.split() == real_heading.split()
    assert len(record.split()) == len(real_record.split())
    assert record.split()[-1] == "/"


async def test_stat_f_prints_what_df_counts(machine: Machine) -> None:
    _, printed, _ = await machine.run('stat -f -c "%S %s %b %a %f %c %d %n %%" /tmp')
    volume = machine.disk.numbers()
    assert printed == f"4096 4096 1000 700 750 {volume.inodes} {volume.inodes - 3} /tmp %\n"


async def test_stat_tells_a_mounted_disk_by_its_device(machine: Machine) -> None:
    machine.disk.make_directory("/zs")
    before = (await machine.run("stat -c %d /zs"))[1]
    machine.disk.mount("/zs", VirtualDisk())
    assert (await machine.run("stat -c %d /zs"))[1] != before
    assert (await machine.run("stat -c '%n %F %a %f %U' /zs"))[1] == "/zs directory 755 41ed root\n"


async def test_stat_has_the_lines_of_this_machine_s(machine: Machine) -> None:
    real = await _on_this_machine("stat -f /")
    _, printed, _ = await machine.run("stat -f /")
    assert [line.split(":")[0] for line in printed.splitlines()] == [line.split(":")[0] for line in real.splitlines()]


async def test_dd_fills_a_disk_with_zeros(machine: Machine) -> None:
    assert (await machine.run("dd if=/dev/zero of=/tmp/f bs=1k count=8"))[0] == 0
    assert machine.disk.used == 252 * BLOCK
    status, _, complaint = await machine.run("dd if=/dev/zero of=/tmp/f bs=1G count=1")
    assert (status, machine.disk.available) == (1, 0)
    assert complaint.startswith("dd: error writing '/tmp/f': No space left on device\n")


async def test_ls_lists_directories_within_directories_as_gnu_does(machine: Machine, tmp_path: Path) -> None:
    names = ("b/c/one", "b/two", "b/.hidden", "three")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        machine.disk.furnish([posixpath.dirname(f"/tmp/{name}")])
        machine.disk.write_file(f"/tmp/{name}", b"")
    for arguments in ("-R", "-R b", "-R b/ b/c", "-AR b", "-dR b", "b b/c", "three"):
        there = await _on_this_machine(f"env --chdir={tmp_path} ls {arguments}")
        _, here, _ = await machine.run(f"cd /tmp; ls {arguments}")
        assert here == there, arguments
    status, long, _ = await machine.run("cd /tmp; ls -l three")
    assert (status, long.startswith("-rw"), long.endswith(" three\n")) == (0, True, True)


async def test_whoami_hostname_and_uname_know_the_account_and_the_host(machine: Machine) -> None:
    _, printed, _ = await machine.run("hostname; whoami; id -u; uname -sn; pwd")
    assert printed == "imagestore-1\nroot\n0\nLinux imagestore-1\n/root\n"


async def test_ps_shows_the_agent_while_it_runs() -> None:
    async with SimulatedHost("imagestore-1") as host:
        shows = []
        for kind in (None, "agent_down"):
            if kind is not None:
                await host.apply(read_fault(kind, {}))
            shell, printed = Shell.at_login(host, "root"), list[str]()
            await shell.run("ps -e; ps -ef", Streams(Text(""), printed.append, printed.append))
            shows.append("".join(printed).count("zstore"))
    assert shows == [4, 0]


async def _on_this_machine(line: str) -> str:
    process = await asyncio.create_subprocess_exec("env", "LC_ALL=C", *line.split(), stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()


@pytest.mark.parametrize(
    ("script", "status", "complaint"),
    [
        (f"exit {'9' * 5000}", 2, f"sh: 1: exit: Illegal number: {'9' * 5000}\n"),
        (f"[ {'9' * 5000} -eq 1 ]", 2, f"sh: 1: [: Illegal number: {'9' * 5000}\n"),
        (f"printf %{'9' * 5000}d 1", 2, f"sh: 1: printf: %{'9' * 5000}d: Out of space\n"),
        (f"true ${{{'9' * 5000}}}", 0, ""),
        ("x=aaaaaaaa" + "; x=$x$x" * 24, 2, "sh: 1: Out of space\n" * 6),
        ("dd if=/dev/zero of=/tmp/f bs=1M count=2; x=$(cat /tmp/f /tmp/f)", 1, "cat: /tmp/f: Cannot allocate memory\n"),
    ],
    ids=["exit", "test", "printf", "parameter", "doubled", "captured"],
)
async def test_what_would_take_the_memory_of_the_lab_is_an_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, script: str, status: int, complaint: str
) -> None:
    monkeypatch.setattr("imagestore_sim.hosts.disk.MOST_READ", 2**20)
    got, printed, errors = await machine.run(script)
    assert (got, printed) == (status, "")
    assert errors.endswith(complaint)


@pytest.mark.thorough
async def test_a_tree_is_as_deep_as_a_path_is_long(machine: Machine) -> None:
    machine.disk.inodes = 10_000
    _, printed, errors = await machine.run(f"mkdir -p {'/d' * 3000}; echo $?")
    assert printed == "1\n"
    assert errors.endswith("File name too long\n")
    assert await machine.run("grep -r x /d; echo $?") == (0, "1\n", "")
    assert (await machine.run("df / && ls -R / && mkdir /e && rm -r /d"))[0] == 0
    assert machine.disk.listdir("/") == ["e", "root", "tmp"]


@rows("pattern", ["(a+)+$", "(a|aa)*b", "(a*){2,9}b", "a{99999999999}", "(" * 3000 + "a" + ")" * 3000])
async def test_a_pattern_that_would_hold_up_the_lab_is_refused(machine: Machine, pattern: str) -> None:
    status, printed, errors = await machine.run(f"echo {'a' * 40}! | grep -E '{pattern}'")
    assert (status, printed) == (2, ""), errors
    assert errors.startswith("grep: ")


async def test_grep_takes_repetitions_beside_each_other(machine: Machine) -> None:
    assert (await machine.run("echo 'zstore 12' | grep -E '^(z|s)[a-z]+ +[0-9]{1,3}$'"))[1] == "zstore 12\n"
