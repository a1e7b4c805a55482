"""`imagestore-sim compose-file`: the Compose file of the lab in containers, usable from any folder."""

from __future__ import annotations

import json
import re

import typer

from imagestore_sim.cli.exits import SUCCESS, InputError

FILE = "docker-compose.yml"
NODE_BUILD = "    context: .\n    dockerfile: docker/mn/Dockerfile\n"
DOCKER_CONTEXT = r"context: (docker/\w+)"
HOST_CONTEXT = r"context: simulator/imagestore_sim/([\w/]+)"
MOUNTED = r"- \./(docker/\S+)"


def compose_file() -> int:
    """Print the Compose file of the lab in containers.

    Its images are built from this installation, and its variables are read from a file `.env` beside it.

    Examples:
        write it, then start three hosts and a node
        imagestore-sim compose-file > docker-compose.yml && docker compose up -d
    """
    from imagestore_sim.shipped import shipped

    try:
        text = shipped(FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"this installation is incomplete: {error.filename}: {error.strerror}") from None
    typer.echo(with_places(text), nl=False)
    return SUCCESS


def with_places(text: str) -> str:
    """Return the Compose file with every place in this installation spelled out."""
    from imagestore_sim.shipped import PACKAGE, shipped

    text = text.replace(NODE_BUILD, _node_build())
    text = re.sub(DOCKER_CONTEXT, lambda found: f"context: {_quoted(str(shipped(found[1])))}", text)
    text = re.sub(HOST_CONTEXT, lambda found: f"context: {_quoted(str(PACKAGE / found[1]))}", text)
    return re.sub(MOUNTED, lambda found: f"- {_quoted(str(shipped('')) + '/' + found[1])}", text)


def _node_build() -> str:
    """Return how the image of the node is built: from a checkout, or from the package of an installation."""
    from imagestore_sim.shipped import CHECKOUT, INSTALLED, PACKAGE, is_installed

    if not is_installed():
        return NODE_BUILD.replace("context: .", f"context: {_quoted(str(CHECKOUT))}")
    files = INSTALLED.name
    return (
        f"    context: {_quoted(str(PACKAGE))}\n"
        f"    dockerfile: {files}/docker/mn/Dockerfile\n"
        f"    args: {{PROJECT: {files}, PACKAGE: .}}\n"
    )


def _quoted(text: str) -> str:
    """Return a text quoted for YAML; Compose would read a `$` as the begin of a variable."""
    return json.dumps(text.replace("$", "$$"))
