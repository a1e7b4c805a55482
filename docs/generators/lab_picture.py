"""Draw docs/lab.svg, the README's picture: the table that `imagestore-sim lab` shows, of a lab that runs for it."""

from __future__ import annotations

import asyncio
import io

from rich.console import Console
from rich.terminal_theme import MONOKAI

from imagestore_sim.cli.lab_output import storage_table
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings

WIDTH = 124
# Rich's own frame without the fonts that it would load from the network.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px;
  line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: ui-sans-serif, Arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


async def _draw() -> str:
    """Return an SVG of the table of a lab with three hosts, one of them stopped."""
    console = Console(record=True, width=WIDTH, color_system="truecolor", force_terminal=True, file=io.StringIO())
    async with Lab(Settings(port=0, ping_interval=1)) as lab:
        await lab.network["imagestore-3"].stop()
        await lab.wait_for("imagestore-3", "Disconnected", within=10)
        storages = sorted(await lab.node.storages.records.tracked(), key=lambda storage: storage.name)
        probes = lab.node.storages.status.last_probes
        console.print(storage_table(storages, probes, lab.clock.time(), rows=10, console=console))
    return console.export_svg(title="imagestore-sim lab", theme=MONOKAI, code_format=FRAME, unique_id="lab")


def picture() -> str:
    """Run a lab, break a host, and return the picture of its table."""
    return asyncio.run(_draw())
