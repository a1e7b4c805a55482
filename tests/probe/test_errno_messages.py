"""What hosts say of a path, and the numbers that they tell: each has a reason, and a bound."""

from __future__ import annotations

from pathlib import Path

import pytest
from ssh_stubs import posix_shell, ssh_stub
from statvfs_servers import StatvfsServer

from imagestore_sim.clock import RealClock
from imagestore_sim.probe import Capacity, ProbeFailure, Prober, Reason, df, stat
from imagestore_sim.probe.capacity import LARGEST, Space
from imagestore_sim.probe.classification import explain
from imagestore_sim.probe.errno_messages import find_errno_message
from imagestore_sim.probe.failures import Failed, LoginEvidence
from imagestore_sim.probe.identity import read_identity
from imagestore_sim.probe.sftp import StatvfsReply
from imagestore_sim.probe.target import Target
from rows import rows

SAID = [
    ("df: /zs: Stale file handle\n", Reason.STALE_MOUNT),
    ("df: '/zs/.': Transport endpoint is not connected\ndf: no file systems processed\n", Reason.STALE_MOUNT),
    ("df: /zs/.: Socket not connected\n", Reason.STALE_MOUNT),
    ("stat: cannot read file system information for '/zs/.': Host is down", Reason.STALE_MOUNT),
    ("df: /zs: Connection timed out", Reason.STALE_MOUNT),
    ("df: /zs: Input/output error", Reason.IO_ERROR),
    ("df: /zs: I/O error", Reason.IO_ERROR),
    ("df: /zs: Structure needs cleaning", Reason.IO_ERROR),
    ("df: /zs: No such device", Reason.IO_ERROR),
    ("df: /zs: Too many levels of symbolic links", Reason.NO_SUCH_PATH),
    ("df: /zs: File name too long", Reason.NO_SUCH_PATH),
    ("df: /zs: Operation not permitted", Reason.PERMISSION_DENIED),
    ("df: /zs: Permission denied", Reason.PERMISSION_DENIED),
    ("mkdir: cannot create directory \u2018/zs/registry\u2019: Read-only file system", Reason.PERMISSION_DENIED),
    ("df: /mnt/Stale file handle: No such file or directory", Reason.NO_SUCH_PATH),
]


@rows(("said", "reason"), SAID)
def test_the_words_of_an_error_are_its_reason(said: str, reason: Reason) -> None:
    found = find_errno_message(said)
    assert found is not None
    assert found[0].reason is reason


def test_words_in_another_language_are_no_error_that_is_known() -> None:
    assert find_errno_message(f"df: /zs: {' ' * 500_000}x{' ' * 500_000}x") is None
    assert find_errno_message("df: /zs: \u6ca1\u6709\u90a3\u4e2a\u6587\u4ef6\u6216\u76ee\u5f55") is None


@rows(
    ("size", "blocks", "available", "expected"),
    [
        (4096, 100, 50, (409600, 204800)),
        (4096, 2**64 - 1, 2**64 - 1, (LARGEST, LARGEST)),
        (2**63, 2**63, 5, (LARGEST, LARGEST)),
        (4096, 100, 2**64 - 5, (409600, 0)),
        (4096, 100, -5, (409600, 0)),
        (0, 100, 50, (0, 0)),
    ],
)
def test_numbers_are_bounded(size: int, blocks: int, available: int, expected: tuple[int, int]) -> None:
    space = Space.of_blocks(size, blocks, available)
    assert (space.total, space.available) == expected


@rows("digits", [20, 40, 41, 5000])
def test_absurd_numbers_in_an_answer_are_a_capacity_or_none(digits: int) -> None:
    number = "9" * digits
    for parse, said in ((df.parse, f"fs {number} 0 {number} 0% /zs\n"), (stat.parse, f"4096 {number} {number} 1 1\n")):
        if digits <= 40:
            assert parse(said).total == LARGEST
        else:
            with pytest.raises(Failed, match="no capacity in the answer"):
                parse(said)


class NoFragments(StatvfsServer):
    """A file system that has no f_frsize."""

    def statvfs(self, path: bytes) -> object:  # type: ignore[override]
        found = super().statvfs(path)
        found.bsize, found.frsize = 512, 0
        return found


async def test_a_file_system_without_fragments_counts_in_blocks() -> None:
    async with ssh_stub(sftp=NoFragments) as stub:
        prober = Prober(RealClock())
        found = await prober.probe(stub.target())
        await prober.close()
    assert isinstance(found, Capacity)
    assert found.total % 512 == 0
    assert found.total > 0
    assert len(StatvfsReply._fields) == 11


@pytest.mark.parametrize("name", ["x" * 300, "loop", "dangling", "file/below"])
async def test_a_path_that_cannot_be_is_not_to_be_created(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").touch()
    async with ssh_stub(process=posix_shell()) as stub:
        prober = Prober(RealClock())
        found = await prober.probe(stub.target(url=str(tmp_path / name)))
        await prober.close()
    assert isinstance(found, ProbeFailure)
    assert found.reason in (Reason.NO_SUCH_PATH, Reason.NOT_A_DIRECTORY), found


def test_an_error_that_no_rule_knows_is_a_failure_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    target = Target("h", 22, "root", "/zs", "secret")
    for _ in range(3):
        try:
            raise ZeroDivisionError("of this test")
        except ZeroDivisionError as error:
            found = explain(error, target, "command", {}, LoginEvidence())
        assert found.reason is Reason.ERROR
        assert "ZeroDivisionError: of this test" in found.message
    assert len([record for record in caplog.records if record.exc_info]) == 1


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "puttygen key.ppk -O private-openssh -o key"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJtHCCB8ghC/KxmNWMcRIJSzCNudkg2QTJ2SFE0DC9hZ a@b\n", "a public key"),
        ("", "is empty"),
    ],
)
def test_a_file_that_is_no_private_key_has_a_hint(tmp_path: Path, text: str, hint: str) -> None:
    (file := tmp_path / "key.ppk").write_text(text)
    file.chmod(0o600)
    with pytest.raises(ValueError, match=hint):
        read_identity(file)
