"""Programs that start, stop and find the agent of a host, as init scripts and systemd have them."""

from __future__ import annotations

import re

from imagestore_sim.hosts.commands.declare import Usage, command, options_of, program
from imagestore_sim.hosts.installation import SERVICE, SERVICE_SCRIPT
from imagestore_sim.hosts.shell import Call

ACTIONS = ("start", "stop", "restart", "status")
NOT_RUNNING, NO_SUCH_UNIT = 3, 4
"""Exit statuses of LSB's init scripts, which systemctl has too."""
_ASKS = ("status", "is-active")


@command("service")
async def _service(call: Call) -> int:
    """Run `service NAME start|stop|restart|status`, for the agent only."""
    if len(call.arguments) != 2:
        return _say_usage(call, "service NAME ACTION")
    name, action = call.arguments
    if not _is_installed(call, name):
        call.streams.complain(f"{name}: unrecognized service\n")
        return 1
    if action not in ACTIONS:
        return _say_usage(call, f"{SERVICE_SCRIPT} {{{'|'.join(ACTIONS)}}}", 2)
    if action == "status":
        pid = _pid(call)
        call.say(f"{name} is stopped" if pid is None else f"{name} (pid {pid}) is running...")
        return NOT_RUNNING if pid is None else 0
    done = await _act(call, action)
    call.say(f"{action} {name}: {'OK' if done else 'FAILED'}")
    return int(not done)


@command("systemctl")
async def _systemctl(call: Call) -> int:
    """Run `systemctl start|stop|restart|status|is-active NAME[.service]`, for the agent only."""
    match [one for one in call.arguments if not one.startswith("-")]:
        case [action, unit] if action in (*ACTIONS, *_ASKS):
            name = unit.removesuffix(".service")
        case _:
            return _say_usage(call, f"systemctl {'|'.join((*ACTIONS, 'is-active'))} NAME")
    if not _is_installed(call, name):
        call.streams.complain(f"Unit {name}.service could not be found.\n")
        return NO_SUCH_UNIT
    if action in _ASKS:
        return _show(call, name, action)
    if await _act(call, action):
        return 0
    call.streams.complain(f"Job for {name}.service failed.\n")
    return 1


def _show(call: Call, name: str, action: str) -> int:
    pid = _pid(call)
    if action == "is-active":
        call.say("inactive" if pid is None else "active")
    else:
        call.say(f"* {name}.service - the agent of an ImageStore")
        call.say(f"   Loaded: loaded ({SERVICE_SCRIPT})")
        call.say(f"   Active: {'inactive (dead)' if pid is None else 'active (running)'}")
        if pid is not None:
            call.say(f" Main PID: {pid} (zstore)")
    return NOT_RUNNING if pid is None else 0


async def _act(call: Call, action: str) -> bool:
    """Start, stop or restart the agent; return whether that worked: a fault may keep it from running."""
    agent = call.shell.machine.agent
    if action == "stop":
        await agent.stop()
        return True
    if action == "restart" and agent.is_running:
        agent.restart()
    return await agent.start()


def _is_installed(call: Call, name: str) -> bool:
    return name == SERVICE and call.disk.is_file(SERVICE_SCRIPT)


def _pid(call: Call) -> int | None:
    return next(iter(_found(call, "^zstore$", whole=False)), None)


def _say_usage(call: Call, text: str, status: int = 1) -> int:
    call.streams.complain(f"Usage: {text}\n")
    return status


@program("pgrep", trouble=2)
async def _pgrep(call: Call) -> int:
    """Print the numbers of the programs whose name, or with `-f` whole command line, matches."""
    options, operands = options_of(call, "flaxo")
    if len(operands) != 1:
        raise Usage("exactly one pattern is needed")
    pattern = f"^(?:{operands[0]})$" if "x" in options else operands[0]
    try:
        found = _found(call, pattern, whole="f" in options)
    except re.error as error:
        raise Usage(f"invalid pattern: {error}") from None
    for number, line in found.items():
        shown = line if "a" in options else line.split()[0].rpartition("/")[2]
        call.say(f"{number} {shown}" if options.keys() & {"a", "l"} else str(number))
    return int(not found)


@command("pidof")
async def _pidof(call: Call) -> int:
    """Print the numbers of the programs of these names."""
    numbers = [str(pid) for name in call.arguments for pid in _found(call, f"^{re.escape(name)}$", whole=False)]
    if not numbers:
        return 1
    call.say(" ".join(numbers))
    return 0


def _found(call: Call, pattern: str, *, whole: bool) -> dict[int, str]:
    """Return the command lines of programs whose name or `whole` line matches, by their numbers as `ps` has them."""
    return {
        number: line
        for number, line in enumerate(call.shell.machine.processes, 1)
        if re.search(pattern, line if whole else line.split()[0].rpartition("/")[2])
    }
