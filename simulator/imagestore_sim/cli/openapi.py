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
    if chosen["lab"]:
        from imagestore_sim.cli.running import run

        return run(_print_that_of_the_lab)
    _print(_of_zstack(unfolded=chosen["unfolded"]))
    return SUCCESS


def _print(document: dict[str, Any]) -> None:
    import orjson

    typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


def _of_zstack(*, unfolded: bool) -> dict[str, Any]:
    from imagestore_sim.openapi.document import document

    return document(one_an_api=unfolded)


async def _print_that_of_the_lab() -> int:
    from imagestore_sim.lab import Lab
    from imagestore_sim.settings import Settings

    _print(Lab(Settings()).describe_lab_api())
    return SUCCESS
