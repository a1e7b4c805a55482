"""What answers in place of sshd, or in front of it: the program proxy.py of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo
from imagestore_sim.containers.faults.firewall import add_rules
from imagestore_sim.containers.faults.state_files import PROGRAMS, RUNTIME, add_state, begin, new_number, quoted, run

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

_FIRST_PORT = 20_000
HOLDER = "[p]roxy.py - hold"
"""A pattern for pgrep: the process that holds a login. The brackets keep it from matching the shell that runs pgrep."""
HOLDING = f"{RUNTIME}/proxy-hold"
"""The file that exists while it holds one."""


async def redirect(host: ContainerHost, mode: str, says: str = "") -> Undo:
    """Redirect new connections to proxy.py, in a mode such as `reset`. Those that it serves outlive the undo."""
    port = str(_FIRST_PORT + int(new_number()))
    ready = f"{RUNTIME}/proxy-{port}"
    await run(host, f"rm -f {ready}")
    await begin(host, f"printf %s {quoted(says)} | exec {PROGRAMS}/proxy.py {port} {mode}", until=f"-e {ready}")
    # Without --syn the rule would also redirect connections from before the kernel began to track them
    chain = f"PREROUTING -t nat -p tcp --syn --dport {host.spec.port}"
    redirected = await add_rules(host, f"{chain} -j REDIRECT --to-ports {port}")

    async def heal() -> None:
        await redirected()
        await run(host, f"pkill -TERM -f '[p]roxy.py {port} '")

    return heal


async def hold_login(host: ContainerHost) -> Undo:
    """Hold one login that never ends, until the last fault heals that asked for one."""
    update = f"""
    [ -n "$(ls)" ] || pkill -f '{HOLDER}'
    """
    if not await run(host, f"pgrep -f '{HOLDER}' || true"):
        await run(host, f"rm -f {HOLDING}")
        await begin(host, f"exec {PROGRAMS}/proxy.py - hold {host.spec.port}", until=f"-e {HOLDING}")
    return await add_state(host, "holds", "", update)
