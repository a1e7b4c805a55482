"""Programs that print the name of the machine, of the account, and of what runs there."""

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


@program("ps")
async def _ps(call: Call) -> int:
    """List all programs, whatever the options: by name, or with `f` or `x` by their whole command lines."""
    whole = any(letter in argument for argument in call.arguments for letter in "fx")
    call.say("    PID TTY          TIME CMD")
    for number, line in enumerate(call.shell.machine.processes, 1):
        shown = line if whole else line.split()[0].rpartition("/")[2]
        call.say(f"{number:7} ?        00:00:00 {shown}")
    return 0
