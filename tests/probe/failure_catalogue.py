"""The catalogue of failures: how each is simulated and caused on a real sshd, and the reason that a probe gives.

`make docs` writes it to docs/failures.md.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import real_causes as real

from imagestore_sim.faults import Fault, read_fault
from imagestore_sim.probe import Capacity, HostKeyPolicy, Method, Reason

MIB = 2**20
IGNORE, TOFU = HostKeyPolicy.IGNORE, HostKeyPolicy.TOFU


def fault(kind: str, **parameters: object) -> Fault:
    return read_fault(kind, parameters)


@dataclass(frozen=True)
class Row:
    """One failure. A reason is None if the probe still returns a capacity, for which `shows` then returns True."""

    number: str
    what: str
    faults: Sequence[Fault]
    cause: real.Cause | None
    how: str
    """How it is caused on a real server, or why that is not done."""
    connect: Reason | None
    ping: Reason | None
    """The reason over a connection that was open before."""
    shows: Callable[[Capacity], bool] = lambda _capacity: True
    ping_shows: bool = True
    note: str = ""
    disk: str = ""
    """Options of the tmpfs that the real storage needs as a disk of its own; empty without one."""
    policy: HostKeyPolicy = IGNORE

    @property
    def silent(self) -> bool:
        """Whether the probe runs into a timeout."""
        return (
            bool({self.connect, self.ping} & {Reason.HUNG, Reason.TIMEOUT, Reason.UNREACHABLE}) or self.number == "26"
        )

    @property
    def name(self) -> str:
        """The name in test reports."""
        return f"{self.number} {self.what}"


ROWS = [
    Row("1", "port closed", [fault("refuse")], real.stopped, "sshd stopped", Reason.REFUSED, Reason.REFUSED),
    Row(
        "1",
        "no route",
        [fault("unreachable")],
        real.firewall("REJECT", "--reject-with", "icmp-host-unreachable"),
        "iptables REJECT with icmp-host-unreachable (root)",
        Reason.UNREACHABLE,
        Reason.UNREACHABLE,
    ),
    Row(
        "3",
        "firewall that drops",
        [fault("blackhole")],
        real.firewall("DROP"),
        "iptables DROP (root)",
        Reason.TIMEOUT,
        Reason.TIMEOUT,
    ),
    Row(
        "4",
        "accepts, no banner",
        [fault("half_open")],
        real.frozen,
        "SIGSTOP to sshd and all below it",
        Reason.TIMEOUT,
        Reason.TIMEOUT,
    ),
    Row(
        "5",
        "not SSH on the port",
        [fault("not_ssh")],
        real.replaced_by(real.web_server),
        "a web server in sshd's place",
        Reason.NOT_SSH,
        Reason.NOT_SSH,
    ),
    Row(
        "5",
        "talks without end instead of its banner",
        [fault("flood", when="banner")],
        None,
        "covered by `tests/probe/test_hostile_hosts.py`",
        Reason.NOT_SSH,
        None,
        note="open connections are not affected",
    ),
    Row(
        "5",
        "floods before the key exchange",
        [fault("flood", when="keys")],
        None,
        "as above",
        Reason.FLOOD,
        None,
        note="open connections are not affected",
    ),
    Row(
        "5",
        "floods during the login",
        [fault("flood", when="login")],
        None,
        "as above",
        Reason.FLOOD,
        None,
        note="open connections are not affected",
    ),
    Row(
        "5",
        "floods when a session begins",
        [fault("flood", when="session")],
        None,
        "as above",
        Reason.FLOOD,
        None,
        note="open connections are not affected",
    ),
    Row(
        "6",
        "reset on connecting",
        [fault("reset_on_connect")],
        real.replaced_by(real.resetting),
        "a server that resets in sshd's place",
        Reason.RESET,
        Reason.RESET,
    ),
    Row(
        "6",
        "reset in the middle of a login",
        [fault("reset_after", size=1000)],
        None,
        "needs a proxy that counts bytes",
        Reason.RESET,
        Reason.RESET,
    ),
    Row(
        "7",
        "password rotated, or key taken back",
        [fault("password_rotated")],
        real.key_taken_back,
        "the key taken out of authorized_keys",
        Reason.AUTH_FAILED,
        None,
        note="open connections are not affected",
    ),
    Row(
        "7",
        "account locked",
        [fault("account_locked")],
        real.configured("DenyUsers *"),
        "DenyUsers in sshd_config",
        Reason.AUTH_FAILED,
        None,
        note="open connections are not affected",
    ),
    Row(
        "7",
        "nobody can log in",
        [fault("auth_failure")],
        real.configured("PubkeyAuthentication no"),
        "no method of authentication in sshd_config",
        Reason.AUTH_FAILED,
        None,
        note="open connections are not affected",
    ),
    Row(
        "7",
        "password expired",
        [fault("expired_password")],
        None,
        "needs PAM and an account of its own: `tests/probe/test_real_accounts.py`",
        Reason.AUTH_FAILED,
        None,
        note="open connections are not affected",
    ),
    Row(
        "7",
        "account expired, or refused by PAM",
        [fault("expired_account")],
        None,
        "as above",
        Reason.AUTH_FAILED,
        None,
        note="open connections are not affected",
    ),
    Row(
        "8",
        "host key changed",
        [fault("host_key_changed")],
        real.new_host_key,
        "another host key, sshd reloaded",
        Reason.HOST_KEY_CHANGED,
        None,
        note="with --host-keys tofu or strict; open connections are not affected",
        policy=TOFU,
    ),
    Row(
        "8",
        "host key changed, ignored",
        [fault("host_key_changed")],
        real.new_host_key,
        "another host key, sshd reloaded",
        None,
        None,
        note="as ZStack does, the default",
    ),
    Row(
        "9",
        "MaxStartups reached",
        [fault("max_startups")],
        real.startups_taken,
        "MaxStartups 1:100:1 and a connection that does not log in",
        Reason.BUSY,
        None,
        note="open connections are not affected",
    ),
    Row(
        "9",
        "MaxStartups reached, no line of text",
        [fault("max_startups", how="close")],
        None,
        "sshd before 8.5 only",
        Reason.BUSY,
        None,
        note="open connections are not affected",
    ),
    Row(
        "10",
        "MaxSessions reached",
        [fault("max_sessions")],
        real.configured("MaxSessions 0"),
        "MaxSessions 0",
        Reason.BUSY,
        None,
        note="open sessions are not affected",
    ),
    Row(
        "11",
        "no SFTP subsystem",
        [fault("no_sftp")],
        real.configured(sftp=False),
        "no Subsystem line",
        None,
        None,
        lambda capacity: capacity.method is Method.DF,
        ping_shows=False,
        note="df answers",
    ),
    Row(
        "11",
        "broken SFTP server: answers of another type",
        [fault("broken_sftp", how="type")],
        None,
        "no such server at hand",
        None,
        None,
        note="df answers",
    ),
    Row(
        "11",
        "broken SFTP server: answers to other questions",
        [fault("broken_sftp", how="id")],
        None,
        "no such server at hand",
        None,
        None,
        note="df answers",
    ),
    Row(
        "11",
        "broken SFTP server: answers cut short",
        [fault("broken_sftp", how="short")],
        None,
        "no such server at hand",
        None,
        None,
        note="df answers",
    ),
    Row(
        "11",
        "broken SFTP server: answers without end",
        [fault("broken_sftp", how="huge")],
        None,
        "no such server at hand",
        None,
        None,
        note="df answers",
    ),
    Row(
        "11",
        "broken SFTP server: no SFTP at all",
        [fault("broken_sftp", how="text")],
        None,
        "no such server at hand",
        None,
        None,
        note="df answers",
    ),
    Row(
        "12",
        "nologin, ForceCommand",
        [fault("forced_command", cut=False)],
        real.configured("ForceCommand echo This account is currently not available.; exit 1"),
        "ForceCommand",
        Reason.NO_CAPACITY,
        None,
        note="open sessions are not affected",
    ),
    Row(
        "12",
        "empty answers",
        [fault("empty_answers", cut=False)],
        real.configured("ForceCommand true"),
        "ForceCommand true",
        Reason.NO_CAPACITY,
        None,
        note="open sessions are not affected",
    ),
    Row(
        "12",
        "noisy login scripts",
        [fault("noisy_shell")],
        real.configured(
            'ForceCommand echo Welcome!; echo "/dev/sda1 1 1 1 1% /"; '
            f'case "$SSH_ORIGINAL_COMMAND" in internal-sftp) exec {real.SFTP_SERVER};; '
            '*) exec sh -c "$SSH_ORIGINAL_COMMAND";; esac'
        ),
        "ForceCommand that prints before it runs what was asked for",
        None,
        None,
        lambda capacity: capacity.method is Method.DF and capacity.total > MIB,
        ping_shows=False,
        note="SFTP breaks, df answers between its sentinels",
    ),
    Row(
        "12",
        "sessions linger",
        [fault("no_sftp"), fault("lingering_session")],
        real.configured(
            'ForceCommand sleep 3 & exec sh -c "$SSH_ORIGINAL_COMMAND"',
            sftp=False,
        ),
        "ForceCommand that leaves a program in the background, no Subsystem line",
        None,
        None,
        note="the answer counts, though the session does not end",
    ),
    Row(
        "13",
        "file system hangs",
        [fault("hung_mount", path="/zs")],
        real.hung,
        "FUSE whose program answers nothing (root)",
        Reason.HUNG,
        Reason.HUNG,
    ),
    Row(
        "13",
        "file system hangs, no SFTP",
        [fault("no_sftp"), fault("hung_mount", path="/zs")],
        None,
        "as above",
        Reason.HUNG,
        Reason.HUNG,
        note="the timeout on the host ends df",
    ),
    Row(
        "13",
        "stale NFS",
        [fault("stale_mount", path="/zs")],
        real.failing(errno.ESTALE),
        "FUSE that answers ESTALE (root)",
        Reason.STALE_MOUNT,
        Reason.STALE_MOUNT,
    ),
    Row(
        "13",
        "dead FUSE",
        [fault("stale_mount", path="/zs", error="not_connected")],
        real.failing(0),
        "FUSE whose program has ended (root)",
        Reason.STALE_MOUNT,
        Reason.STALE_MOUNT,
    ),
    Row(
        "13",
        "file server out of reach, no SFTP",
        [fault("no_sftp"), fault("stale_mount", path="/zs", error="host_down")],
        None,
        "as above",
        Reason.STALE_MOUNT,
        Reason.STALE_MOUNT,
        note="df reports it",
    ),
    Row(
        "13",
        "disk fails",
        [fault("io_error", path="/zs")],
        real.failing(errno.EIO),
        "FUSE that answers EIO (root)",
        Reason.IO_ERROR,
        Reason.IO_ERROR,
    ),
    Row(
        "13",
        "file system damaged",
        [fault("io_error", path="/zs", error="damaged")],
        real.failing(errno.EUCLEAN),
        "FUSE that answers EUCLEAN (root)",
        Reason.IO_ERROR,
        Reason.IO_ERROR,
    ),
    Row(
        "13",
        "login script hangs",
        [fault("hung_command")],
        real.configured("ForceCommand exec sleep 20"),
        "ForceCommand sleep",
        Reason.HUNG,
        None,
        note="open sessions are not affected",
    ),
    Row(
        "13",
        "SFTP server hangs",
        [fault("hung_sftp")],
        real.sftp_hung,
        "another program as Subsystem sftp, and SIGSTOP to the processes of connections",
        Reason.HUNG,
        Reason.HUNG,
    ),
    Row(
        "15",
        "path missing",
        [fault("path_gone", path="/zs")],
        real.moved_away,
        "moved away",
        Reason.NO_SUCH_PATH,
        Reason.NO_SUCH_PATH,
    ),
    Row(
        "16",
        "path is a file",
        [fault("path_is_file", path="/zs")],
        real.file_in_place,
        "a file in its place",
        Reason.NOT_A_DIRECTORY,
        Reason.NOT_A_DIRECTORY,
    ),
    Row(
        "17",
        "disk not mounted",
        [fault("unmounted", path="/zs")],
        real.unmounted,
        "a tmpfs unmounted (root)",
        Reason.NOT_MOUNTED,
        Reason.NOT_MOUNTED,
        note="at a ping: another file system than before, and neither registry nor export in it",
        disk="size=8m",
    ),
    Row(
        "18",
        "read-only",
        [fault("read_only")],
        real.remounted("ro", "rw"),
        "a tmpfs remounted (root)",
        None,
        None,
        lambda capacity: capacity.read_only is True,
        note="the probe reports it",
        disk="size=8m",
    ),
    Row(
        "19",
        "disk full",
        [fault("fill")],
        real.filled,
        "a tmpfs filled (root)",
        None,
        None,
        lambda capacity: capacity.available == 0,
        note="0 bytes available",
        disk="size=8m",
    ),
    Row(
        "20",
        "out of inodes",
        [fault("out_of_inodes")],
        real.out_of_inodes,
        "a tmpfs of few inodes (root)",
        None,
        None,
        lambda capacity: capacity.inodes is not None and capacity.inodes.available == 0,
        note="0 inodes available, the bytes as before",
        disk="size=8m,nr_inodes=64",
    ),
    Row(
        "21",
        "permission denied",
        [fault("permission_denied", path="/zs")],
        real.parent_closed,
        "the directory above closed (not root)",
        Reason.PERMISSION_DENIED,
        Reason.PERMISSION_DENIED,
    ),
    Row(
        "22",
        "command missing",
        [fault("no_sftp"), fault("command_missing", commands=["df", "stat"])],
        real.without_programs,
        "no Subsystem line, and a PATH without df and stat",
        Reason.NO_COMMAND,
        Reason.NO_COMMAND,
    ),
    Row(
        "23",
        "slow link",
        [fault("latency", delay="20ms", jitter="5ms")],
        None,
        "needs netem on a network of its own",
        None,
        None,
        lambda capacity: capacity.phases["command"] > 25,
        note="later; a ping that is not through when the next is due is not repeated",
    ),
    Row("23", "slow line", [fault("rate", rate="64K")], None, "needs netem on a network of its own", None, None),
    Row(
        "23",
        "slow login",
        [fault("slow_login", seconds="1s")],
        None,
        "needs a name server or directory that does not answer",
        Reason.TIMEOUT,
        None,
        note="when it takes longer than 5 s",
    ),
    Row(
        "25",
        "killed in the middle of a probe",
        [fault("killed_session")],
        real.killing_sessions,
        "ForceCommand that kills the process above it",
        Reason.RESET,
        Reason.RESET,
    ),
    Row(
        "25",
        "cut in the middle of a probe",
        [fault("cut_mid_probe")],
        None,
        "needs a proxy that knows where a login ends",
        Reason.RESET,
        Reason.RESET,
    ),
    Row(
        "25",
        "connection lost between probes",
        [fault("cut")],
        real.connections_killed,
        "the processes of connections killed",
        None,
        None,
        note="replaced within the probe",
    ),
    Row(
        "26",
        "stale connection",
        [fault("stale")],
        real.connections_frozen,
        "SIGSTOP to the processes of connections, not to sshd",
        None,
        None,
        note="not even a keep-alive is answered: replaced within the probe, or between probes",
    ),
    Row(
        "28",
        "extended",
        [fault("resize", size="16M")],
        real.remounted("size=16m", "size=8m"),
        "a tmpfs remounted (root)",
        None,
        None,
        lambda capacity: capacity.total == 16 * MIB,
        disk="size=8m",
    ),
    Row(
        "28",
        "shrunk",
        [fault("resize", size="4M")],
        real.remounted("size=4m", "size=8m"),
        "a tmpfs remounted (root)",
        None,
        None,
        lambda capacity: capacity.total == 4 * MIB,
        disk="size=8m",
    ),
    Row(
        "30",
        "host replaced",
        [fault("cut"), fault("host_key_changed"), fault("replaced_disk", path="/zs", size="16M")],
        real.host_replaced,
        "another host key, and a new tmpfs at the path (root)",
        Reason.NOT_MOUNTED,
        Reason.NOT_MOUNTED,
        note="by its empty disk; with --host-keys tofu or strict host_key_changed",
    ),
    Row(
        "7.2",
        "no blocks at all",
        [fault("zero_capacity")],
        real.without_blocks,
        "proc mounted at the path (root)",
        Reason.NO_CAPACITY,
        Reason.NO_CAPACITY,
        note="as of an automount before its first use",
    ),
]

ELSEWHERE = [
    ("2", "DNS failure", "a name that the lab does not know (`--no-any-host`)", "a name of `.invalid`", "dns"),
    ("14", "plain df", "`hung_mount`, and `df` by hand", "never sent: a probe's df always names the path", "-"),
    ("24", "flapping", "a timeline of `refuse` and its heals", "the same with sshd", "as row 1, and as before"),
    ("27", "clock skew", "-", "SSH has no use for the time", "-"),
    ("29", "agent restarted", "`agent_restarted`, with `ping.mode` agent", "sshd is no agent", "agent_restarted"),
    ("-", "agent stopped", "`agent_down`, with `ping.mode` agent", "sshd is no agent", "agent_down"),
    (
        "-",
        "certificate expired",
        "`certificate_expired`, with `ping.mode` agent",
        "sshd has no certificate",
        "certificate_expired",
    ),
    ("-", "registry lost", "`registry_lost`, with `ping.mode` agent", "sshd has no registry", "registry_lost"),
]

HEAD = """\
# Failures: how each is simulated, how it is caused on a real sshd, and how a probe reports it

The rows have the numbers of the catalogue of failures. `tests/probe/test_failure_catalogue.py` causes each of them
twice, on a simulated host over real SSH and on a real OpenSSH server, and expects the same reason from both: at a
connect, which logs in again, and at a ping over a connection that was open before. A storage becomes Disconnected with
a reason, and is or stays Connected with -. Rows marked (root) are skipped without the right to mount file systems and
to change the firewall, the one marked (not root) when the tests run as root.

`make docs` writes this page; a test checks it.

"""


def cells(row: Row) -> list[str]:
    simulated = " + ".join(
        f"`{one.kind}`" + "".join(f" {name}={value}" for name, value in one.values().items()) for one in row.faults
    )
    really = row.how if row.cause is not None else f"not done: {row.how}"
    statuses = ["Disconnected" if reason else "Connected" for reason in (row.connect, row.ping)]
    reasons = [f"`{reason}`" if reason else "-" for reason in (row.connect, row.ping)]
    status = statuses[0] if len(set(statuses)) == 1 else f"{statuses[0]} at a connect, else {statuses[1]}"
    return [row.number, row.what, simulated, really, *reasons, status, row.note]


def render() -> str:
    """Return the text of docs/failures.md."""
    headings = ["row", "failure", "simulated by", "on a real sshd", "at a connect", "at a ping", "status", "note"]
    lines = [headings, ["---"] * len(headings), *(cells(row) for row in ROWS)]
    text = HEAD + "".join(f"| {' | '.join(line)} |\n" for line in lines)
    text += "\nRows that are not states of a host, and are tested elsewhere or not at all:\n\n"
    rows = [["row", "failure", "simulated by", "on a real sshd", "reason"], ["---"] * 5, *map(list, ELSEWHERE)]
    return text + "".join(f"| {' | '.join(line)} |\n" for line in rows)
