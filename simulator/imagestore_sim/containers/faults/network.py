"""Container forms of the faults between a client and a host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo, form
from imagestore_sim.containers.faults.firewall import rules
from imagestore_sim.containers.faults.processes import CONNECTIONS, cut
from imagestore_sim.containers.faults.proxy import redirect
from imagestore_sim.containers.faults.sshd_config import configure
from imagestore_sim.containers.faults.state_files import FOLDER, MOMENT, PROGRAMS, begin, layer, run
from imagestore_sim.faults import network

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

QUEUE = 22
_LATE_RUNS = f"[{PROGRAMS[0]}]{PROGRAMS[1:]}/late.py"
_RESET = "-j REJECT --reject-with tcp-reset"
_AT_A_QUESTION = f"--tcp-flags PSH PSH {_RESET}"


def _to_sshd(host: ContainerHost) -> str:
    return f"INPUT -p tcp --dport {host.spec.port}"


async def _open(host: ContainerHost) -> dict[int, int]:
    """The connections to sshd that are open: by the client's port, how many bytes were sent over it."""
    said = await run(host, f"ss -O -tniH state established '( sport = :{host.spec.port} )'")
    found: dict[int, int] = {}
    for line in said.splitlines():
        sent = re.search(r"bytes_sent:(\d+)", line)
        found[int(line.split()[3].rpartition(":")[2])] = int(sent[1]) if sent else 0
    return found


@form(network.Blackhole, how="iptables drops every packet, in and out", capabilities=("NET_ADMIN",), lost_at_stop=True)
async def blackhole(_fault: network.Blackhole, host: ContainerHost) -> Undo:
    return await rules(host, "INPUT ! -i lo -j DROP", "OUTPUT ! -o lo -j DROP")


@form(
    network.Unreachable,
    how="iptables rejects new connections with icmp-host-unreachable, and drops what belongs to others",
    capabilities=("NET_ADMIN",),
    lost_at_stop=True,
)
async def unreachable(_fault: network.Unreachable, host: ContainerHost) -> Undo:
    return await rules(
        host,
        "INPUT ! -i lo -p tcp --syn -j REJECT --reject-with icmp-host-unreachable",
        "INPUT ! -i lo -j DROP",
        "OUTPUT ! -o lo -p tcp -j DROP",
    )


_STALE = f"{MOMENT}/stale"


@form(network.HalfOpen, how="SIGSTOP to sshd and to what serves its connections", lost_at_stop=True)
async def half_open(_fault: network.HalfOpen, host: ContainerHost) -> Undo:
    await host.kill("STOP")
    thaw = await layer(host, "frozen", "", f'[ -z "$(ls)" ] || {CONNECTIONS} | xargs -r kill -STOP')

    async def heal() -> None:
        await thaw()
        left = await run(host, f"ls {FOLDER}/frozen")
        if not left:
            # Connections that went stale before stay so.
            await run(host, f"touch {_STALE}; {CONNECTIONS} | grep -v -x -f {_STALE} | xargs -r kill -CONT")
            await host.kill("CONT")

    return heal


@form(
    network.Refuse,
    how="iptables rejects new connections with a reset; what serves the others is killed",
    capabilities=("NET_ADMIN",),
    lost_at_stop=True,
)
async def refuse(fault: network.Refuse, host: ContainerHost) -> Undo:
    heal = await rules(host, f"{_to_sshd(host)} --syn {_RESET}")
    if fault.cut:
        await cut(host)
    return heal


@form(
    network.ResetOnConnect,
    how="iptables lets a connection be made, and answers what comes over it with a reset",
    capabilities=("NET_ADMIN",),
    lost_at_stop=True,
)
async def reset_on_connect(_fault: network.ResetOnConnect, host: ContainerHost) -> Undo:
    heal = await rules(host, f"{_to_sshd(host)} ! -i lo ! --syn {_RESET}")
    await cut(host)
    return heal


@form(
    network.ResetAfter,
    how="iptables, by the bytes that conntrack has counted, those of headers included",
    capabilities=("NET_ADMIN",),
    lost_at_stop=True,
)
async def reset_after(fault: network.ResetAfter, host: ContainerHost) -> Undo:
    def above(size: int) -> str:
        return f"-m connbytes --connbytes {size + 1}: --connbytes-dir reply --connbytes-mode bytes {_RESET}"

    # The kernel keeps track of a connection from the first rule on that asks for it: what was before is told by ss.
    before = [
        f"--sport {port} {above(fault.size - sent) if sent < fault.size else _AT_A_QUESTION}"
        for port, sent in (await _open(host)).items()
    ]
    return await rules(host, *(f"{_to_sshd(host)} ! -i lo {one}" for one in (*before, above(fault.size))))


@form(
    network.CutMidProbe,
    how="iptables answers what comes over connections that are open with a reset; a forced command kills what serves "
    "others",
    capabilities=("NET_ADMIN",),
    lost_at_stop=True,
)
async def cut_mid_probe(_fault: network.CutMidProbe, host: ContainerHost) -> Undo:
    talking = [f"{_to_sshd(host)} --sport {port} {_AT_A_QUESTION}" for port in await _open(host)]
    open_ones = await rules(host, *talking) if talking else None
    configured = await configure(host, "ForceCommand kill -KILL $PPID")

    async def heal() -> None:
        await configured()
        if open_ones is not None:
            await open_ones()

    return heal


_LATE = f"{FOLDER}/late"


async def _be_late(host: ContainerHost, delay: float, jitter: float, rate: int) -> Undo:
    """Have packets wait before and after sshd, in the program late.py, which stays until the container is stopped."""
    if not await run(host, f"pgrep -f {_LATE_RUNS} || true"):
        await run(host, f"mkdir -p {_LATE}; rm -f {_LATE}.ready")
        await begin(host, f"exec {PROGRAMS}/late.py {QUEUE} {_LATE}")
        await run(host, f"until [ -e {_LATE}.ready ]; do sleep 0.02; done")
    ways = [f"{chain} -p tcp {end} {host.spec.port} -j NFQUEUE --queue-num {QUEUE} --queue-bypass"
            for chain, end in (("INPUT ! -i lo", "--dport"), ("OUTPUT ! -o lo", "--sport"))]  # fmt: skip
    present = "\n".join(f"iptables -w -t mangle -C {way} 2>/dev/null || iptables -w -t mangle -A {way}" for way in ways)
    absent = "\n".join(f"iptables -w -t mangle -D {way}" for way in ways)
    settle = f'pkill -HUP -f {_LATE_RUNS}\nif [ -n "$(ls)" ]; then\n{present}\nelse\n{absent}\nfi'
    return await layer(host, "late", f"{delay} {jitter} {rate}\n", settle)


@form(
    network.Latency,
    how="iptables hands packets to a program that lets them go on later (NFQUEUE), as tc's netem does, which not every "
    "kernel has; in the machine's time, whatever the speed",
    capabilities=("NET_ADMIN",),
    lost_at_stop=True,
)
async def latency(fault: network.Latency, host: ContainerHost) -> Undo:
    return await _be_late(host, fault.delay, fault.jitter, 0)


@form(
    network.Rate,
    how="as `latency`; headers and what TCP repeats count too",
    capabilities=("NET_ADMIN",),
    lost_at_stop=True,
)
async def rate(fault: network.Rate, host: ContainerHost) -> Undo:
    return await _be_late(host, 0.0, 0.0, fault.rate)


@form(
    network.NotSsh,
    how="iptables redirects new connections to a small server; what serves the others is killed",
    capabilities=("NET_ADMIN",),
    lost_at_stop=True,
)
async def not_ssh(fault: network.NotSsh, host: ContainerHost) -> Undo:
    heal = await redirect(host, "say", fault.says)
    await cut(host)
    return heal


@form(network.Stale, how="SIGSTOP to what serves connections that are open, for good")
async def stale(_fault: network.Stale, host: ContainerHost) -> None:
    await run(host, f"{CONNECTIONS} | tee -a {_STALE} | xargs -r kill -STOP")


@form(network.Cut, how="what serves connections is killed")
async def cut_once(fault: network.Cut, host: ContainerHost) -> None:
    await cut(host, fault.count)
