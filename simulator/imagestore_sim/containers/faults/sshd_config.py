"""Lines that faults add to sshd's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo
from imagestore_sim.containers.faults.processes import LISTENER
from imagestore_sim.containers.faults.proxy import HOLDER, HOLDING
from imagestore_sim.containers.faults.state_files import add_state

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

# sshd writes its pid file once it listens again. A stopped sshd (state T) does so when it is continued. After a reload
# sshd no longer counts a login that is held, so that the holder begins another one.
RELOAD = f"""
sshd=$({LISTENER})
rm -f /run/sshd.pid {HOLDING}
kill -HUP "$sshd"
until [ -s /run/sshd.pid ] || grep -q '^State:.*T' "/proc/$sshd/status"; do sleep 0.02; done
if pkill -HUP -f '{HOLDER}'; then
  until [ -e {HOLDING} ] || grep -q '^State:.*T' "/proc/$sshd/status"; do sleep 0.02; done
fi
"""
"""Has sshd read its configuration. Open connections keep the former one."""

# sshd takes the first line of an option, so that the latest fault comes first
_UPDATE = f"ls | sort -r | xargs -r cat >/etc/ssh/sshd_config.d/00-faults.conf\n{RELOAD}"


async def configure(host: ContainerHost, *lines: str) -> Undo:
    """Add lines before all others, for new connections. Raise ContainerProblem."""
    return await add_state(host, "sshd", "".join(f"{line}\n" for line in lines), _UPDATE)
