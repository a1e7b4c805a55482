"""`imagestore-sim openapi`: the OpenAPI documents, for generators of clients and for linters."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from imagestore_sim.cli.exits import SUCCESS
from imagestore_sim.cli.rules import IgnoreVariables, Refuse, apply_rules

RULES = (
    IgnoreVariables(("unfolded",), when=lambda given: given.lab),
    IgnoreVariables(("lab",), when=lambda given: given.unfolded),
    Refuse(
        lambda given: given.lab and given.unfolded,
        "--unfolded: the lab's API has one operation a path; leave out --lab or --unfolded",
    ),
)


def openapi(
    context: typer.Context,
    unfolded: Annotated[
        bool,
        typer.Option(
            "--unfolded",
            help="Describe one operation for each API, also where several share a path; for pages, not for clients.",
            envvar="IMAGESTORE_SIM_UNFOLDED",
        ),
    ] = False,
    lab: Annotated[
        bool,
        typer.Option("--lab", help="Describe the lab's API, /lab/v1, instead.", envvar="IMAGESTORE_SIM_LAB"),
    ] = False,
) -> int:
    """Print the OpenAPI document of ZStack's API as it is emulated, or of the lab's API. No node has to run.

    A node serves the same at /openapi.json and /lab/v1/openapi.json.

    Examples:
        for a generator of clients
        imagestore-sim openapi > zstack.json
        the same for the lab's own API
        imagestore-sim openapi --lab > lab.json
    """
    chosen = apply_rules(context, RULES)
    import orjson

    made = _of_the_lab() if chosen["lab"] else _of_zstack(unfolded=chosen["unfolded"])
    typer.echo(orjson.dumps(made, option=orjson.OPT_INDENT_2).decode())
    return SUCCESS


def _of_zstack(*, unfolded: bool) -> dict[str, Any]:
    from imagestore_sim.openapi.document import document

    return document(one_an_api=unfolded)


def _of_the_lab() -> dict[str, Any]:
    import asyncio

    from imagestore_sim.lab import Lab
    from imagestore_sim.settings import Settings

    async def describe() -> dict[str, Any]:
        return Lab(Settings()).describe_lab_api()

    return asyncio.run(describe())
