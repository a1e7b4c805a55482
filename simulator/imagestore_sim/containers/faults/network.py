"""Implementations of the faults between a client and a host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo, implement
from imagestore_sim.containers.faults.firewall import add_rules
from imagestore_sim.containers.faults.processes import CONNECTIONS, cut, send
from imagestore_sim.containers.faults.proxy import redirect
from imagestore_sim.containers.faults.sshd_config import configure
from imagestore_sim.containers.faults.state_files import PROGRAMS, RUNTIME, STATE, add_state, begin, run
from imagestore_sim.faults import network

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

FIREWALL = ("NET_ADMIN",)
QUEUE = 22
"""The number of the kernel's packet queue that delay.py reads."""
_RESET = "-j REJECT --reject-with tcp-reset"
_RESET_ON_DATA = f"--tcp-flags PSH PSH {_RESET}"


def _to_sshd(host: ContainerHost) -> str:
    return f"INPUT -p tcp --dport {host.spec.port}"


async def _open_connections(host: ContainerHost) -> dict[int, int]:
    """Return the bytes that sshd has sent over each open connection, by the client's port."""
    printed = await run(host, f"ss -O -tniH state established '( sport = :{host.spec.port} )'")
    found: dict[int, int] = {}
    for line in printed.splitlines():
        sent = re.search(r"bytes_sent:(\d+)", line)
        found[int(line.split()[3].rpartition(":")[2])] = int(sent[1]) if sent else 0
    return found


@implement(network.Blackhole, means="iptables drops every packet, in and out", capabilities=FIREWALL, lost_at_stop=True)
async def _blackhole(_fault: network.Blackhole, host: ContainerHost) -> Undo:
    return await add_rules(host, "INPUT ! -i lo -j DROP", "OUTPUT ! -o lo -j DROP")


@implement(
    network.Unreachable,
    means="iptables rejects new connections with icmp-host-unreachable, and drops what belongs to others",
    capabilities=FIREWALL,
    lost_at_stop=True,
)
async def _unreachable(_fault: network.Unreachable, host: ContainerHost) -> Undo:
    return await add_rules(
        host,
        "INPUT ! -i lo -p tcp --syn -j REJECT --reject-with icmp-host-unreachable",
        "INPUT ! -i lo -j DROP",
        "OUTPUT ! -o lo -p tcp -j DROP",
    )


_STALE = f"{RUNTIME}/stale"
"""A file with the processes of connections that the fault `stale` has stopped for good."""


@implement(network.HalfOpen, means="SIGSTOP to sshd and to what serves its connections", lost_at_stop=True)
async def _half_open(_fault: network.HalfOpen, host: ContainerHost) -> Undo:
    await host.container.kill("STOP")
    thaw = await add_state(host, "frozen", "", f'[ -z "$(ls)" ] || {CONNECTIONS} | {send("STOP")}')

    async def heal() -> None:
        await thaw()
        left = await run(host, f"ls {STATE}/frozen")
        if not left:
            # Connections that became stale before stay stale
            await run(host, f"touch {_STALE}; {CONNECTIONS} | grep -v -x -f {_STALE} | {send('CONT')}")
            await host.container.kill("CONT")

    return heal


@implement(
    network.Refuse,
    means="iptables rejects new connections with a reset; what serves the others is killed",
    capabilities=FIREWALL,
    lost_at_stop=True,
)
async def _refuse(fault: network.Refuse, host: ContainerHost) -> Undo:
    heal = await add_rules(host, f"{_to_sshd(host)} --syn {_RESET}")
    if fault.cut:
        await cut(host)
    return heal


@implement(
    network.ResetOnConnect,
    means="iptables lets a connection be made, and answers what comes over it with a reset",
    capabilities=FIREWALL,
    lost_at_stop=True,
)
async def _reset_on_connect(_fault: network.ResetOnConnect, host: ContainerHost) -> Undo:
    heal = await add_rules(host, f"{_to_sshd(host)} ! -i lo ! --syn {_RESET}")
    await cut(host)
    return heal


@implement(
    network.ResetAfter,
    means="iptables, by the bytes that conntrack has counted, those of headers included",
    capabilities=FIREWALL,
    lost_at_stop=True,
)
async def _reset_after(fault: network.ResetAfter, host: ContainerHost) -> Undo:
    def above(size: int) -> str:
        return f"-m connbytes --connbytes {size + 1}: --connbytes-dir reply --connbytes-mode bytes {_RESET}"

    # The kernel counts the bytes of a connection from the first rule on that asks for them; ss knows those before
    before = [
        f"--sport {port} {above(fault.size - sent) if sent < fault.size else _RESET_ON_DATA}"
        for port, sent in (await _open_connections(host)).items()
    ]
    return await add_rules(host, *(f"{_to_sshd(host)} ! -i lo {one}" for one in (*before, above(fault.size))))


@implement(
    network.CutMidProbe,
    means="iptables answers what comes over connections that are open with a reset; a forced command kills what serves "
    "others",
    capabilities=FIREWALL,
    lost_at_stop=True,
)
async def _cut_mid_probe(_fault: network.CutMidProbe, host: ContainerHost) -> Undo:
    rules = [f"{_to_sshd(host)} --sport {port} {_RESET_ON_DATA}" for port in await _open_connections(host)]
    reset_open = await add_rules(host, *rules) if rules else None
    configured = await configure(host, "ForceCommand kill -KILL $PPID")

    async def heal() -> None:
        await configured()
        if reset_open is not None:
            await reset_open()

    return heal


_DELAYS = f"{STATE}/delays"
_DELAY_RUNS = f"[{PROGRAMS[0]}]{PROGRAMS[1:]}/delay.py"
"""A pattern for pgrep that does not match the shell that runs pgrep."""


async def _add_delay(host: ContainerHost, delay: float, jitter: float, rate: int) -> Undo:
    """Delay packets to and from sshd (seconds; bytes a second, 0: no limit), in delay.py, which runs until a stop."""
    if not await run(host, f"pgrep -f {_DELAY_RUNS} || true"):
        await run(host, f"mkdir -p {_DELAYS}; rm -f {_DELAYS}.ready")
        await begin(host, f"exec {PROGRAMS}/delay.py {QUEUE} {_DELAYS}", until=f"-e {_DELAYS}.ready")
    rules = [
        f"{chain} -p tcp {end} {host.spec.port} -j NFQUEUE --queue-num {QUEUE} --queue-bypass"
        for chain, end in (("INPUT ! -i lo", "--dport"), ("OUTPUT ! -o lo", "--sport"))
    ]
    present = "\n".join(
        f"iptables -w -t mangle -C {rule} 2>/dev/null || iptables -w -t mangle -A {rule}" for rule in rules
    )
    absent = "\n".join(f"iptables -w -t mangle -D {rule}" for rule in rules)
    update = f'pkill -HUP -f {_DELAY_RUNS}\nif [ -n "$(ls)" ]; then\n{present}\nelse\n{absent}\nfi'
    return await add_state(host, "delays", f"{delay} {jitter} {rate}\n", update)


@implement(
    network.Latency,
    means="iptables hands packets to a program that delays them (NFQUEUE), as tc's netem does, which not every "
    "kernel has; in the machine's time, whatever the speed",
    capabilities=FIREWALL,
    lost_at_stop=True,
)
async def _latency(fault: network.Latency, host: ContainerHost) -> Undo:
    return await _add_delay(host, fault.delay, fault.jitter, 0)


@implement(
    network.Rate,
    means="as `latency`; headers and what TCP repeats count too",
    capabilities=FIREWALL,
    lost_at_stop=True,
)
async def _rate(fault: network.Rate, host: ContainerHost) -> Undo:
    return await _add_delay(host, 0.0, 0.0, fault.rate)


@implement(
    network.NotSsh,
    means="iptables redirects new connections to a small server; what serves the others is killed",
    capabilities=FIREWALL,
    lost_at_stop=True,
)
async def _not_ssh(fault: network.NotSsh, host: ContainerHost) -> Undo:
    heal = await redirect(host, "say", fault.says)
    await cut(host)
    return heal


@implement(network.Stale, means="SIGSTOP to what serves connections that are open, for good")
async def _stale(_fault: network.Stale, host: ContainerHost) -> None:
    await run(host, f"{CONNECTIONS} | tee -a {_STALE} | {send('STOP')}")


@implement(network.Cut, means="what serves connections is killed")
async def _cut_once(fault: network.Cut, host: ContainerHost) -> None:
    await cut(host, fault.count)
