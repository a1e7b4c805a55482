"""What `lab` shows: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from imagestore_sim.backup_storage.recent_probes import LastProbe
from imagestore_sim.backup_storage.records import Status, Storage
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.host_names import host_and_port
from imagestore_sim.lab import Lab
from imagestore_sim.masking import on_one_line
from imagestore_sim.probe import ProbeFailure, Reached
from imagestore_sim.tasks import cancel_and_wait, until_done_or_set
from imagestore_sim.units import size_text

REFRESH_SECONDS = 0.5
HEADINGS = ("name", "host", "status", "used", "available", "last probe")
BAR_WIDTHS = (20, 10)
DISPENSABLE = ("used", "host", "last probe")
"""What a narrow terminal does without, in this order: sizes say what is used, and most storages have a host's name."""
COLOURS = {Status.CONNECTED: "green", Status.CONNECTING: "yellow", Status.DISCONNECTED: "red"}


async def follow(lab: Lab, console: Console, stopped: asyncio.Event) -> None:
    """Show a lab until `stopped` is set: a live table on a terminal, a line for each change elsewhere."""
    shown = _show_table(lab, console) if console.is_terminal else _print_lines(lab)
    task = asyncio.ensure_future(shown)
    try:
        await until_done_or_set(task, stopped)
        if task.done():
            task.result()
    finally:
        await cancel_and_wait(task)


def ssh_command(lab: Lab) -> str | None:
    """Return the command line that opens a shell on the first host of the lab, or on NAME if it has no host.

    None where no ssh is installed, as in the image: its file and the ports of its hosts are of use in there alone.
    """
    return f"ssh -F {lab.ssh_config} {next(iter(lab.network), 'NAME')}" if shutil.which("ssh") else None


async def _show_table(lab: Lab, console: Console) -> None:
    console.print(Text.assemble(("log in as ", "dim"), "admin / password", ("; Ctrl-C stops", "dim")))
    console.print(Text.assemble(("in a browser: ", "dim"), lab.url), soft_wrap=True)
    if (command := ssh_command(lab)) is not None:
        console.print(Text.assemble(("on a host: ", "dim"), command), soft_wrap=True)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            rows = max(1, console.height - 9)
            with suppress(StoreUnavailable):  # the log has it, and the next round tries again
                storages = await lab.node.storages.records.tracked()
                probes = lab.node.storages.status.last_probes
                table = storage_table(storages, probes, lab.clock.time(), rows, console)
                live.update(table, refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)  # real: people look, whatever the lab's clock does


async def _print_lines(lab: Lab) -> None:
    if (command := ssh_command(lab)) is not None:
        print(f"on a host: {command}", file=sys.stderr, flush=True)
    with lab.node.events.subscribe() as events:
        for storage in await lab.node.storages.records.tracked():
            sizes = f"{size_text(storage.available)} of {size_text(storage.total)} available"
            where = host_and_port(storage.hostname, storage.port)
            print(on_one_line(f"{storage.name} {where} {storage.status}, {sizes}"), flush=True)
        while True:
            event = await events.get()
            change = " ".join(
                f"{name}={_plain(value)}" for name, value in event.content.items() if name != "backupStorageUuid"
            )
            print(on_one_line(f"{event.path} {event.resource_uuid} {change}"), flush=True)


def _plain(value: object) -> str:
    """Return a value of an event as JSON's words, or the details of an error."""
    if isinstance(value, Mapping):
        return _plain(value.get("details") or value.get("description") or value.get("code"))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def storage_table(
    storages: list[Storage], probes: Mapping[str, LastProbe], now: float, rows: int, console: Console
) -> Table:
    """Return a table of at most `rows` storages; its caption counts the rest. `now` is in epoch seconds.

    On a narrow terminal it has fewer columns, so that the words of those that are left are whole.
    """
    cells = [_cells(storage, probes.get(storage.uuid), now) for storage in storages[:rows]]
    caption = _caption(storages, rows)
    layouts: list[tuple[tuple[str, ...], int]] = [(HEADINGS, width) for width in BAR_WIDTHS]
    for at in range(1, len(DISPENSABLE) + 1):
        layouts.append((tuple(one for one in HEADINGS if one not in DISPENSABLE[:at]), 0))
    unlimited = console.options.update_width(sys.maxsize)
    for headings, bar_width in layouts:
        table = _table(cells, headings, bar_width, caption)
        if console.measure(table, options=unlimited).maximum <= console.width:
            break
    return table


def _cells(storage: Storage, probe: LastProbe | None, now: float) -> dict[str, RenderableType]:
    """Return what a row says of a storage, by heading, but for the bar of what is used."""
    return {
        "name": Text(on_one_line(storage.name)),  # Rich reads markup in a plain string
        "host": Text(on_one_line(host_and_port(storage.hostname, storage.port))),
        "status": Text(storage.status, style=COLOURS[storage.status]),
        "used": ProgressBar(total=max(1, storage.total), completed=storage.total - storage.available),
        "available": f"{size_text(storage.available)} of {size_text(storage.total)}",
        "last probe": _probe_text(probe, now),
    }


def _table(cells: Sequence[dict[str, RenderableType]], headings: Sequence[str], bar_width: int, caption: str) -> Table:
    table = Table(box=SIMPLE_HEAD, expand=False, caption=caption, caption_justify="left")
    for heading in headings:
        width = bar_width if heading == "used" else None
        table.add_column(heading, no_wrap=True, width=width)
    for row in cells:
        table.add_row(*(row[heading] for heading in headings))
    return table


def _caption(storages: list[Storage], rows: int) -> str:
    connected = sum(storage.status is Status.CONNECTED for storage in storages)
    hidden = f", {len(storages) - rows} more not shown" if len(storages) > rows else ""
    return f"{connected} of {len(storages)} connected{hidden}"


def _probe_text(probe: LastProbe | None, now: float) -> Text:
    if probe is None:
        return Text("none yet", style="dim")
    age = f"{max(0.0, now - probe.time):.0f} s ago"
    if isinstance(probe.outcome, ProbeFailure):
        return Text(f"{probe.outcome.reason}, {age}", style="red")
    how = probe.outcome.mode if isinstance(probe.outcome, Reached) else probe.outcome.method
    return Text(f"{how} {sum(probe.outcome.phases.values()):.1f} ms, {age}")
