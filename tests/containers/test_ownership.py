"""The process that owns what a run has made is recognized, and not mistaken for a later one with its number."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from imagestore_sim.containers.ownership import Owner


def test_an_owner_is_gone_when_its_process_has_ended() -> None:
    code = "from imagestore_sim.containers.ownership import Owner; print(Owner.of_this_process(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        owner = Owner.read(child.stdout.readline().strip())
        assert owner is not None
        assert (owner.pid, owner.is_gone) == (child.pid, False)
        child.kill()
    assert owner.is_gone


def test_a_later_process_with_the_same_number_is_not_the_owner() -> None:
    owner = Owner.of_this_process()
    assert Owner.read(str(owner)) == owner
    assert not owner.is_gone
    assert replace(owner, started="1").is_gone
    assert replace(owner, boot="another").is_gone


def test_a_process_that_cannot_be_seen_from_here_may_be_alive() -> None:
    owner = replace(Owner.of_this_process(), started="1")
    assert not replace(owner, machine="another").is_gone
    assert not replace(owner, namespace="another").is_gone
    assert Owner.read("somebody") is None
