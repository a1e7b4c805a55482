"""What answers in sshd's place, or stands before it: the program front.py of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo
from imagestore_sim.containers.faults.firewall import rules
from imagestore_sim.containers.faults.state_files import MOMENT, PROGRAMS, begin, layer, new_number, run, words

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

_FIRST_PORT = 20_000


async def redirect(host: ContainerHost, mode: str, says: str = "") -> Undo:
    """Have front.py serve who connects from now on, until healed; who is served then stays so."""
    port = str(_FIRST_PORT + int(new_number()))
    await run(host, f"rm -f {MOMENT}/front-{port}")
    await begin(host, f"printf %s {words(says)} | exec {PROGRAMS}/front.py {port} {mode}")
    await run(host, f"until [ -e {MOMENT}/front-{port} ]; do sleep 0.02; done")
    # Without --syn it would take connections that were made before the kernel began to keep track of them.
    beginning = f"PREROUTING -t nat -p tcp --syn --dport {host.spec.port}"
    redirected = await rules(host, f"{beginning} -j REDIRECT --to-ports {port}")

    async def heal() -> None:
        await redirected()
        await run(host, f"pkill -TERM -f '[f]ront.py {port} '")

    return heal


async def hold_login(host: ContainerHost) -> Undo:
    """Have one login under way that never ends, whatever number of faults wants it."""
    settle = """
    [ -n "$(ls)" ] || pkill -f '[f]ront.py - hold'
    """
    if not await run(host, "pgrep -f '[f]ront.py - hold' || true"):
        await run(host, f"rm -f {MOMENT}/front-hold")
        await begin(host, f"exec {PROGRAMS}/front.py - hold {host.spec.port}")
        await run(host, f"until [ -e {MOMENT}/front-hold ]; do sleep 0.02; done")
    return await layer(host, "holds", "", settle)
