"""The processes of sshd in a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.state_files import run

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

LISTENER = "pgrep -o -x sshd"
"""A command that prints the process that accepts connections."""
CONNECTIONS = f"""pgrep -x sshd | grep -v -x "$({LISTENER})" """
"""A command that prints the processes that serve connections. Its status is 1 when there are none."""


def send(signal: str) -> str:
    """Return a command that sends a signal to the processes on its standard input, some of which may have ended."""
    return f"{{ xargs -r kill -{signal} 2>/dev/null || true; }}"


async def cut(host: ContainerHost, count: int | None = None) -> None:
    """Kill the processes of `count` connections, the oldest first; of all for None. Raise ContainerProblem."""
    if count is None:
        await run(host, f"{CONNECTIONS} | {send('KILL')}")
        return
    # The process of a connection is a child of the listener. For an account other than root it has a child itself.
    await run(
        host,
        f"""
        for one in $(pgrep -x sshd -P "$({LISTENER})" | sort -n | head -n {count}); do
          kill -KILL "$one" $(pgrep -P "$one") 2>/dev/null || true
        done
        """,
    )
