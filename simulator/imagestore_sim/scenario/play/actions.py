"""What each action of a timeline does: one function for each step key.

Steps about management nodes are in `play.node_actions`, expectations in `play.expectations`.

A new action is a model with its key in `format.steps`, and a function here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from imagestore_sim.bootstrap import stable_uuid
from imagestore_sim.faults import Host
from imagestore_sim.scenario.format.api_steps import ApiStep, CallStep, ClientStep, MayBeLong, UploadImageStep
from imagestore_sim.scenario.format.options import OPTIONS, option_text
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.scenario.format.steps import (
    EVERY_KIND,
    STEPS,
    FaultStep,
    HealStep,
    NodeFaultStep,
    ProgramStep,
    StartStep,
    StopStep,
)
from imagestore_sim.scenario.play.answers import error_code
from imagestore_sim.scenario.play.context import PlayContext
from imagestore_sim.scenario.play.results import DONE, Outcome, Verdict, ending_of
from imagestore_sim.scenario.play.sending import send_images
from imagestore_sim.scenario.play.step_handlers import StepHandlers
from imagestore_sim.scenario.play.world import ProgramWorld, WorldProblem
from imagestore_sim.testing.client import Answer
from imagestore_sim.units import duration_text

ACTIONS = StepHandlers()


# Hosts


def _hosts(context: PlayContext, patterns: tuple[str, ...]) -> list[Host]:
    hosts = context.world.hosts
    return [hosts[name] for name in matching(patterns, hosts)]


@ACTIONS.handles("fault", "fill", "resize")
async def apply_fault(context: PlayContext, step: FaultStep | NodeFaultStep) -> Outcome:
    """Put a fault on each host, one after the other, or on the node."""
    if isinstance(step, NodeFaultStep):
        identity = await context.world.apply_to_node(step.fault)
        context.windows.open_node_fault(identity, str(step), step.fault)
        return DONE
    text = str(step).replace(f" on {', '.join(step.host)}", "")
    label = text if step.fixed_kind is None else f"{step.fault.kind} {text}"
    for host in _hosts(context, step.host):
        applied = await host.apply(step.fault)
        context.windows.open_fault(host.name, label, applied)
    return DONE


@ACTIONS.handles("heal")
async def heal_faults(context: PlayContext, step: HealStep) -> Outcome:
    """Heal the faults of the kind, the latest first; fail if there is none."""
    if step.node is not None:
        return await _heal_node(context, step.node)
    healed = 0
    for host in _hosts(context, step.host):
        for applied in reversed(list(host.faults)):
            if step.kind in (None, applied.fault.kind):
                await applied.heal()
                healed += 1
    context.windows.close_healed()
    return DONE if healed else (Verdict.FAILED, "there was no such fault to heal")


async def _heal_node(context: PlayContext, kind: str) -> Outcome:
    chosen = [one for one, fault in context.windows.node_faults() if kind in (EVERY_KIND, fault.kind)]
    for identity in chosen:
        await context.world.heal_node(identity)
        context.windows.close_node_fault(identity)
    return DONE if chosen else (Verdict.FAILED, "there was no such fault to heal")


@ACTIONS.handles("stop")
async def stop_hosts(context: PlayContext, step: StopStep) -> Outcome:
    """Shut hosts down; with `for`, start them after that time, beside the steps that follow."""
    for host in _hosts(context, step.host):
        await host.stop()
        context.windows.open_stop(host.name)
        if step.lasts is not None:
            context.tasks.begin(_start_after(context, host, step.lasts), f"start {host.name}")
    return DONE


async def _start_after(context: PlayContext, host: Host, seconds: float) -> None:
    await context.clock.sleep(seconds)
    await _start(context, host)


@ACTIONS.handles("start")
async def start_hosts(context: PlayContext, step: StartStep) -> Outcome:
    """Start hosts."""
    for host in _hosts(context, step.host):
        await _start(context, host)
    return DONE


async def _start(context: PlayContext, host: Host) -> None:
    await host.start()
    context.windows.close_stop(host.name)


# The node


@ACTIONS.handles("program")
async def run_program(context: PlayContext, step: ProgramStep) -> Outcome:
    """Run a program; fail if its exit status is not 0. Raise WorldProblem where none can be run."""
    if not isinstance(context.world, ProgramWorld):
        raise WorldProblem("a program needs a node of its own")
    status, output = await context.world.run_program(step.command, step.within)
    await context.observer.refresh()
    ending = f"killed after {duration_text(step.within)} of the machine" if status is None else ending_of(status)
    return (Verdict.HELD if status == 0 else Verdict.FAILED), f"{ending}: {output}" if output else ending


@ACTIONS.handles(*(name for name, step in STEPS.items() if issubclass(step, ApiStep) and step is not ClientStep))
async def call_api(context: PlayContext, step: ApiStep) -> Outcome:
    """Call the API, and compare each answer with the error and the text that the step expects."""
    if isinstance(step, CallStep) and step.known_as is not None:
        context.world.storages[step.known_as] = stable_uuid("made", step.known_as)
    for name in step.makes():
        context.world.images[name] = stable_uuid("image", name)
    if isinstance(step, MayBeLong) and step.long_job is not None:
        context.world.long_jobs[step.long_job] = stable_uuid("long job", step.long_job)
    calls = list(step.calls(context.observer.uuids))
    if isinstance(step, MayBeLong) and step.long_job is not None and len(calls) > 1:
        return Verdict.FAILED, f"a long job is one call, and these are {len(calls)}: name one image and one storage"
    outcome: Outcome = (Verdict.FAILED, "there was nothing to call it for")
    for call in calls:
        answer = await context.observer.request(call.method, call.path, call.body, account=step.account, node=step.node)
        await context.observer.refresh()
        if call.makes is not None and answer.status == 200:
            context.world.images[call.makes] = answer.body["inventory"]["uuid"]
        outcome = _judge(step, answer)
        if outcome[0] is not Verdict.HELD:
            break
    return outcome


@ACTIONS.handles("upload_image")
async def upload_image(context: PlayContext, step: UploadImageStep) -> Outcome:
    """Send the bits of images; fail unless the last answer is as expected."""
    outcome = await send_images(context.world, context.clock, step)
    await context.observer.refresh()
    return outcome


def _judge(step: ApiStep, answer: Answer) -> Outcome:
    code = error_code(answer)
    seen = f"{answer.status} {code}".strip() if code else f"{answer.status}"
    if answer.status != 200:
        seen += f": {answer.text[:300]}"
    as_expected = answer.status == 200 if step.error is None else bool(code) and step.error.matches(code, {})
    if step.says is not None and step.says not in answer.text:
        as_expected = False
        seen = f"{answer.status}: {answer.text[:300]}"
    return (Verdict.HELD if as_expected else Verdict.FAILED), seen


@ACTIONS.handles("client")
async def call_as_client(context: PlayContext, step: ClientStep) -> Outcome:
    """Let a client under test make a call, and compare what it got in the end with what the step expects."""
    if step.known_as is not None:
        context.world.storages[step.known_as] = stable_uuid("made", step.known_as)
    [call] = step.calls(context.observer.uuids)
    got = await context.clients.carry_out(step, call, partial(context.world.node_for, node=step.node))
    await context.observer.refresh()
    expected = {
        "posts": step.posts is None or step.posts.matches(got.posts, {}),
        "sent": step.sent is None or step.sent.matches(got.sent, {}),
        "seconds": step.seconds is None or step.seconds.matches(got.seconds, {}),
        "says": step.says is None or step.says in got.text,
        "error": step.error is None or (bool(got.code) and step.error.matches(got.code, {})),
        "status": step.error is not None if step.status is None else step.status.matches(got.status, {}),
    }
    if step.status is None and step.error is None:
        expected["status"] = got.status == 200
    times = "once" if got.sent == 1 else f"{got.sent} times"
    seen = f"{got.status} {got.code}".strip() + f", sent {times} in {got.seconds:g} s"
    if step.posts is not None:
        seen += f", posts {got.posts}"
    if got.status != 200 or not all(expected.values()):
        seen += f": {got.text[:300]}"
    return (Verdict.HELD if all(expected.values()) else Verdict.FAILED), seen


@ACTIONS.handles("query")
async def query_api(context: PlayContext, path: str) -> Outcome:
    """Send a GET, whose answer is in the report; fail if its status is not 200."""
    answer = await context.observer.request("GET", context.observer.uuids.replace_in(path))
    return (Verdict.HELD if answer.status == 200 else Verdict.FAILED), f"{answer.status} {answer.text[:300]}"


@ACTIONS.handles("settings")
async def change_settings(context: PlayContext, settings: dict[str, Any]) -> Outcome:
    """Change options of the global configuration over the API, until one is refused."""
    for name, value in settings.items():
        path = f"/global-configurations/{OPTIONS[name].category}/{name}/actions"
        body = {"updateGlobalConfig": {"value": option_text(name, value)}}
        answer = await context.observer.request("PUT", path, body)
        if answer.status != 200:
            return Verdict.FAILED, answer.text
    return DONE


# Neither


@ACTIONS.handles("wait")
async def wait(context: PlayContext, seconds: float) -> Outcome:
    """Let `seconds` of the story's clock pass."""
    await context.clock.sleep(seconds)
    return DONE


@ACTIONS.handles("note")
async def note(context: PlayContext, text: str) -> Outcome:
    """Do nothing: the note is for the reader of the report."""
    return DONE
