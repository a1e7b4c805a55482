"""Programs that print the name of the machine and of the account."""

from __future__ import annotations

from imagestore_sim.hosts.commands.declare import command, options_of, program
from imagestore_sim.hosts.shell import Call

KERNEL = "3.10.0-1160.el7.x86_64"


@program("uname")
async def _uname(call: Call) -> int:
    options, _ = options_of(call, "asnrvmo")
    fields = {"s": "Linux", "n": call.shell.machine.name, "r": KERNEL, "v": "#1 SMP", "m": "x86_64", "o": "GNU/Linux"}
    chosen = fields.keys() if "a" in options else options.keys() or {"s"}
    call.say(" ".join(value for letter, value in fields.items() if letter in chosen))
    return 0


@command("hostname")
async def _hostname(call: Call) -> int:
    call.say(call.shell.machine.name)
    return 0


@command("whoami")
async def _whoami(call: Call) -> int:
    call.say(call.shell.username)
    return 0


@program("id")
async def _id(call: Call) -> int:
    options, _ = options_of(call, "unrgG")
    name, number = call.shell.username, 0 if call.shell.username == "root" else 1000
    if options:
        call.say(name if "n" in options else str(number))
    else:
        call.say(f"uid={number}({name}) gid={number}({name}) groups={number}({name})")
    return 0
