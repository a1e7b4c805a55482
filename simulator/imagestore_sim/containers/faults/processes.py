"""The processes of sshd in a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.state_files import MOMENT, run

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

LISTENER = "pgrep -o -x sshd"
"""Prints the process that accepts connections."""
CONNECTIONS = f"""pgrep -x sshd | grep -v -x "$({LISTENER})" """
"""Prints those that serve connections; its status is 1 when there are none."""

# sshd writes its file once it listens. One that is frozen does so when it goes on.
RELOAD = f"""
sshd=$({LISTENER})
rm -f /run/sshd.pid {MOMENT}/front-hold
kill -HUP "$sshd"
until [ -s /run/sshd.pid ] || grep -q '^State:.*T' "/proc/$sshd/status"; do sleep 0.02; done
# Who holds a login under way is unknown to sshd from now on.
if pkill -HUP -f '[f]ront.py - hold'; then
  until [ -e {MOMENT}/front-hold ] || grep -q '^State:.*T' "/proc/$sshd/status"; do sleep 0.02; done
fi
"""
"""Has sshd read its configuration; connections that are open go on with what they have."""


async def cut(host: ContainerHost, count: int | None = None) -> None:
    """Kill what serves connections: all, or so many, the oldest first. Raises ContainerProblem."""
    if count is None:
        await run(host, f"{CONNECTIONS} | xargs -r kill -KILL")
        return
    # A connection is a child of the listener, and with another account than root's a child of that too.
    await run(
        host,
        f"""
        for one in $(pgrep -x sshd -P "$({LISTENER})" | sort -n | head -n {count}); do
          kill -KILL "$one" $(pgrep -P "$one")
        done
        """,
    )
