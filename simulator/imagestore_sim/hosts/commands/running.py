"""Programs that run other programs, or wait."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine

from imagestore_sim.hosts.commands.declare import Usage, command, program, reason
from imagestore_sim.hosts.shell import NOT_FOUND, SYNTAX_ERROR, Call, Input
from imagestore_sim.tasks import cancel_and_wait

LONGEST_SLEEP = 3600.0  # seconds: no command stays on a host for ever
TIMED_OUT = 124
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@command("sh", "dash", "bash")
async def _sh(call: Call) -> int:
    match call.arguments:
        case ["-c", script, *arguments]:
            name = arguments[0] if arguments else call.name
            return await call.shell.child(name, arguments[1:], call.variables).run(script, call.streams)
        case ["-c"]:
            return call.fail("0: -c requires an argument", SYNTAX_ERROR)
        case [] | ["-s"]:
            shell = call.shell.child(call.name, [], call.variables)
            return await shell.run(await call.streams.read.read(), call.streams)
        case [option, *_] if option.startswith("-"):
            return call.fail(f"0: Illegal option {option}", SYNTAX_ERROR)
    return await _sh_file(call, *call.arguments)


async def _sh_file(call: Call, path: str, *arguments: str) -> int:
    try:
        script = call.disk.read_file(call.path(path)).decode(errors="surrogateescape")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        status = NOT_FOUND if missing else SYNTAX_ERROR
        return call.fail(f"0: cannot open {path}: {'No such file' if missing else reason(error)}", status)
    return await call.shell.child(path, list(arguments), call.variables).run(script, call.streams)


@program("env")
async def _env(call: Call) -> int:
    arguments = list(call.arguments)
    variables = dict(call.variables)
    if arguments[:1] in (["-i"], ["-"]):
        arguments.pop(0)
        variables = {}
    while arguments and "=" in arguments[0]:
        name, _, value = arguments.pop(0).partition("=")
        variables[name] = value
    if not arguments:
        for name, value in variables.items():
            call.say(f"{name}={value}")
        return 0
    if arguments[0].startswith("-"):
        raise Usage(f"invalid option -- '{arguments[0].lstrip('-')[:1]}'")
    status = await call.shell.call(arguments, call.streams, variables, call.line, program=True)
    return call.fail(f"'{arguments[0]}': No such file or directory", NOT_FOUND) if status is None else status


@program("timeout", trouble=125)
async def _timeout(call: Call) -> int:
    arguments = list(call.arguments)
    while arguments and re.match(r"-[ks]", arguments[0]):
        del arguments[: 2 if len(arguments[0]) == 2 else 1]
    if len(arguments) < 2:
        raise Usage("missing operand")
    seconds = _seconds(arguments[0])
    running = call.shell.call(arguments[1:], call.streams, call.variables, call.line, program=True)
    try:
        status = await (call.shell.machine.clock.wait_for(running, seconds) if seconds else running)
    except TimeoutError:
        return TIMED_OUT
    if status is None:
        return call.fail(f"failed to run command '{arguments[1]}': No such file or directory", NOT_FOUND)
    return status


@program("sleep")
async def _sleep(call: Call) -> int:
    if not call.arguments:
        raise Usage("missing operand")
    seconds = sum(_seconds(argument) for argument in call.arguments)
    await call.shell.machine.clock.sleep(min(seconds, LONGEST_SLEEP))
    return 0


async def until_interrupted(work: Coroutine[object, object, None], keyboard: Input) -> None:
    """Run what ends only late, until Ctrl-C: what is typed meanwhile is lost. Raise session.Interrupted."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(_read_on(keyboard))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for one in done:
            one.result()
    finally:
        await cancel_and_wait(*tasks)


async def _read_on(keyboard: Input) -> None:
    while await keyboard.readline():
        pass


def _seconds(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([smhd]?)", text)
    if found is None:
        raise Usage(f"invalid time interval '{text}'")
    return float(found[1]) * _SECONDS[found[2]]
