"""Write docs/schemas/: the JSON Schemas of the files that people write."""

from __future__ import annotations

from imagestore_sim.cli.schema import SCHEMAS, schema_text


def schemas() -> dict[str, str]:
    """Return each schema by the name of its file."""
    return {f"{name}.json": schema_text(name) for name in SCHEMAS}
