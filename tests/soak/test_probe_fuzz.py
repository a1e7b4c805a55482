"""Probes of hosts that are out of their mind: nothing stalls, nothing ends unclassified, nothing is left behind.

`make test-soak` runs it for SOAK_SECONDS (1800) from SOAK_SEED (drawn, and printed).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from mad_hosts import PASSWORD
from watch import LONGEST_CALLBACK, Held, callbacks_timed

from imagestore_sim.clock import RealClock
from imagestore_sim.probe import Capacity, Layout, Prober, Reason, Target
from imagestore_sim.probe.classification import UNCLASSIFIED
from processes import child
from sshd import StartSshd

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
SEED = int(os.environ.get("SOAK_SEED", random.SystemRandom().randrange(2**32)))
PROBES_AT_ONCE = 16
ROUND_SECONDS = 30.0
LONGEST_PROBE = 60.0
"""Seconds, of real time on a busy machine: all bounds of a probe together are ten."""
HERE = Path(__file__).parent


@contextlib.asynccontextmanager
async def mad_hosts(seed: int, *real: int) -> AsyncIterator[dict[str, int]]:
    """Run hosts in their own process, so that their work does not slow the probes. Yield their ports by name."""
    words = (sys.executable, str(HERE / "mad_hosts.py"), str(seed), *(str(port) for port in real))
    async with child(*words, stdin=-1, stdout=-1, stderr=asyncio.subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield json.loads(await process.stdout.readline())
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await process.wait()


async def fuzz(
    draw: Callable[[random.Random], Target], chance: random.Random, until: float, found: Counter[str], prober: Prober
) -> None:
    """Probe what is drawn, one after the other."""
    while time.monotonic() < until:
        target = draw(chance)
        fresh = chance.random() < 0.5
        layout = chance.choice(tuple(Layout))
        async with asyncio.timeout(LONGEST_PROBE):
            result = await prober.probe(target, layout=layout, fresh=fresh)
        found[result.method if isinstance(result, Capacity) else result.reason] += 1
        if isinstance(result, Capacity):
            assert 0 <= result.available <= result.total <= 2**63 - 1, result
        if chance.random() < 0.05:
            await prober.forget(target.hostname)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.sshd
async def test_hosts_out_of_their_mind_neither_stall_nor_escape_nor_leak(
    start_sshd: StartSshd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    print(f"SOAK_SEED={SEED} SOAK_SECONDS={SECONDS:g}")
    chance = random.Random(SEED)
    sshd, no_sftp = start_sshd(), start_sshd(sftp=False)
    # Both servers let in the key of the first.
    (no_sftp.directory / "authorized_keys").write_bytes((sshd.directory / "authorized_keys").read_bytes())
    (url := tmp_path / "zs").mkdir()
    found: Counter[str] = Counter()
    unclassified = UNCLASSIFIED.count
    rounds: list[Held] = []
    async with mad_hosts(chance.randrange(2**32), sshd.port, no_sftp.port) as ports:

        async def resolve(hostname: str, _port: int) -> tuple[str, int]:
            return "127.0.0.1", ports[hostname.rpartition(".")[0]]

        def draw(chance: random.Random) -> Target:
            name = chance.choice(tuple(ports))
            real = name.startswith("real")
            path = str(url) if real else chance.choice(("/zs", "/zs", "/missing", "/zs/registry"))
            return Target(f"{name}.{chance.randrange(4)}", 22, sshd.username if real else "root", path, PASSWORD)

        began = Held.now()
        end = time.monotonic() + SECONDS
        with callbacks_timed() as slow:
            while time.monotonic() < end:
                prober = Prober(
                    RealClock(),
                    resolve=resolve,
                    identity_file=sshd.identity_file,
                    connect_timeout=4.0,
                    command_timeout=4.0,
                    busy_pauses=(0.01,),
                    keep_alive=2.0,
                )
                until = min(end, time.monotonic() + ROUND_SECONDS)
                seeds = [chance.random() for _ in range(PROBES_AT_ONCE)]
                await asyncio.gather(*(fuzz(draw, random.Random(seed), until, found, prober) for seed in seeds))
                await prober.close()
                await asyncio.sleep(1.0)
                rounds.append(Held.now())
                figures = {"probes": found.total(), **found, "longest": round(slow.longest, 3)}
                print(json.dumps(figures), rounds[-1], flush=True)
    print("began", began, "ended", rounds[-1])
    for seconds, what in slow.worst:
        print(f"{seconds:.3f} s: {what}")
    assert UNCLASSIFIED.count == unclassified, caplog.text
    assert found[Reason.ERROR] == 0
    assert slow.longest < LONGEST_CALLBACK
    assert rounds[-1].tasks <= began.tasks
    assert rounds[-1].threads <= began.threads + 8  # of the event loop's own pool
    assert rounds[-1].descriptors <= began.descriptors + 4
    assert rounds[-1].kib < rounds[len(rounds) // 2].kib * 1.15 + 10_000
    assert not [record for record in caplog.records if record.levelname == "ERROR"], caplog.text
