"""Why a probe fails: a closed set of reasons, each with advice."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why a probe failed: a closed set, used alike in job errors, events, metrics and reports."""

    REFUSED = "refused"
    DNS = "dns"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    RESET = "reset"
    NOT_SSH = "not_ssh"
    BUSY = "busy"
    AUTH_FAILED = "auth_failed"
    HOST_KEY_CHANGED = "host_key_changed"
    NO_SUCH_PATH = "no_such_path"
    NOT_A_DIRECTORY = "not_a_directory"
    PERMISSION_DENIED = "permission_denied"
    NOT_MOUNTED = "not_mounted"
    NO_CAPACITY = "no_capacity"
    NO_COMMAND = "no_command"
    HUNG = "hung"
    STALE_MOUNT = "stale_mount"
    IO_ERROR = "io_error"
    FLOOD = "flood"
    AGENT_DOWN = "agent_down"
    AGENT_RESTARTED = "agent_restarted"
    CERTIFICATE_EXPIRED = "certificate_expired"
    REGISTRY_LOST = "registry_lost"
    ERROR = "error"

    @property
    def advice(self) -> str:
        """One sentence for people: what to do about it."""
        return _ADVICE[self]


_ADVICE: Mapping[Reason, str] = {
    Reason.REFUSED: "Start sshd on the host, or correct the SSH port.",
    Reason.DNS: "Correct the host name, or make it resolve on this machine.",
    Reason.UNREACHABLE: "Check the route and the firewall between this machine and the host.",
    Reason.TIMEOUT: "Check that the host is up, not overloaded, and that no firewall drops its packets.",
    Reason.RESET: "Try again; if it persists, look for a firewall or proxy that resets, and into the log of sshd.",
    Reason.NOT_SSH: "Correct the port: what listens there does not speak SSH 2, or only with algorithms out of use.",
    Reason.BUSY: "The host is up: try again later, or raise MaxStartups or MaxSessions in its sshd_config.",
    Reason.AUTH_FAILED: "Correct the user name, password or key, and check that sshd lets this account log in.",
    Reason.HOST_KEY_CHANGED: "Find out whether the host was reinstalled or replaced before trusting its new key.",
    Reason.NO_SUCH_PATH: "Create the path on the host, or correct the url of the storage.",
    Reason.NOT_A_DIRECTORY: "Remove the file that is in the way, or correct the url of the storage.",
    Reason.PERMISSION_DENIED: "Give the account its rights on the path, on a file system neither read-only nor full.",
    Reason.NOT_MOUNTED: "Mount the disk of the storage at its url.",
    Reason.NO_CAPACITY: "Run df on the path as this account: it must print a size, and the login shell must allow it.",
    Reason.NO_COMMAND: "Enable SFTP in sshd_config, or install df (coreutils or busybox) on the host.",
    Reason.HUNG: "Look for a file system or login script on the host that no longer answers, such as a dead NFS mount.",
    Reason.STALE_MOUNT: "Mount the path on the host again: its file server, or the program behind it, has gone.",
    Reason.IO_ERROR: "Read the kernel's log on the host: the disk under the path, or its file system, fails.",
    Reason.FLOOD: "Find out what answers there: it sends without end what no login or answer needs, and was cut off.",
    Reason.AGENT_DOWN: "Start the agent on the host: service zstack-imagestorebackupstorage start.",
    Reason.AGENT_RESTARTED: "Reconnect the storage: its agent was restarted, and has forgotten it.",
    Reason.CERTIFICATE_EXPIRED: "Renew the certificate of the agent on the host, and restart it.",
    Reason.REGISTRY_LOST: "Bring back the folder registry in the url of the storage: the agent cannot use it.",
    Reason.ERROR: "Report it with the traceback in the log of this node: no probe should end so.",
}
