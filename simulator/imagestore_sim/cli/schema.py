"""`imagestore-sim schema`: JSON Schemas of the files that people write, for editors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from imagestore_sim.cli.completion import words
from imagestore_sim.cli.exits import SUCCESS, InputError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "https://raw.githubusercontent.com/imagestore-sim/imagestore-sim/main/docs/schemas/{name}.json"
"""Where the schema of the latest version can be read."""
Schema = dict[str, Any]


def schema(
    name: Annotated[
        str,
        typer.Argument(
            metavar="scenario|bootstrap|config|probe-modules",
            help="The files that the schema is for.",
            autocompletion=words("scenario", "bootstrap", "config", "probe-modules"),
        ),
    ],
) -> int:
    """Print the JSON Schema of a kind of file, by which an editor completes and checks it.

    A line `# yaml-language-server: $schema=FILE` at the top of a file tells an editor where the schema is.

    Examples:
        for scenarios, those files that `replay` plays
        imagestore-sim schema scenario > scenario.json
    """
    if name not in SCHEMAS:
        raise InputError(f"{name}: there is no such schema; expected one of {', '.join(SCHEMAS)}")
    typer.echo(schema_text(name), nl=False)
    return SUCCESS


def schema_text(name: str) -> str:
    """Return the text of a schema, which ends with a line's end."""
    import orjson

    title, make = SCHEMAS[name]
    head = {"$schema": DIALECT, "$id": ID.format(name=name)}
    whole = head | make() | {"title": title}
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode() + "\n"


def _of_scenarios() -> Schema:
    from imagestore_sim.scenario.format.model import Scenario

    made = Scenario.model_json_schema()
    _name_shared_parts(made, made["$defs"])
    return made


def _name_shared_parts(part: Any, named: Schema) -> None:
    """Move objects that stand in several places of a schema into its definitions: they are most of its size."""
    for key, value in list(part.items()) if isinstance(part, dict) else enumerate(part):
        if not isinstance(value, dict | list):
            continue
        _name_shared_parts(value, named)
        if part is not named and isinstance(value, dict) and "properties" in value and isinstance(key, str):
            name = key.capitalize()
            if named.setdefault(name, value) == value:
                part[key] = {"$ref": f"#/$defs/{name}"}


def _of_bootstrap_files() -> Schema:
    from imagestore_sim.bootstrap import Bootstrap

    made: Schema = _as_written(Bootstrap.model_json_schema())
    return made


def _of_settings() -> Schema:
    from imagestore_sim.settings import Settings

    made = Settings.model_json_schema()
    names = made["properties"]["allowed_host"]
    names["anyOf"] = [{"type": names.pop("type"), "items": names.pop("items")}, {"type": "string"}]
    return made


def _of_probe_modules() -> Schema:
    from imagestore_sim.lab_api.probe_modules import ProbeModules

    made: Schema = _as_written(ProbeModules.model_json_schema())
    return made


def _as_written(part: Any) -> Any:
    """Return a part of a schema for YAML as people write it: text may look like a number, and dates have no zone."""
    if isinstance(part, list):
        return [_as_written(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: _as_written(value) for key, value in part.items()}
    if made.get("type") == "string" and made.get("format") == "date-time":
        del made["format"]
        made["examples"] = ["2026-03-01 12:00:00"]
    elif made.get("type") == "string" and "enum" not in made and "const" not in made:
        made["type"] = ["string", "number"]
    return made


SCHEMAS: Mapping[str, tuple[str, Callable[[], Schema]]] = {
    "scenario": ("A failure scenario of imagestore-sim", _of_scenarios),
    "bootstrap": ("The records that imagestore-sim begins with", _of_bootstrap_files),
    "config": ("The settings of imagestore-sim", _of_settings),
    "probe-modules": ("The modules of /probe of imagestore-sim", _of_probe_modules),
}
