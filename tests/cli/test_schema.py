"""`imagestore-sim schema`, and the files that name the schemas it prints."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from code_blocks import code_blocks
from imagestore_sim.cli.schema import SCHEMAS, schema_text
from processes import run_here

ROOT = Path(__file__).parent.parent.parent
LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")


class Loader(yaml.SafeLoader):
    """Loads YAML as editors do: dates are texts, and so are variables."""


Loader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if not one[0].endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_constructor("!env", lambda loader, node: f"${node.value}")


def files_with_a_schema() -> list[Path]:
    """Return the files under version control that people may take as examples: stories and bootstrap files."""
    listed = subprocess.run(
        ["git", "ls-files", "*.yaml", "*.yml"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.split()]
    return [one for one in files if re.search(r"^(?:backupStorages|timeline):", one.read_text(), re.MULTILINE)]


def validator(name: str) -> Any:
    return Draft202012Validator(json.loads(schema_text(name)))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_says_where_it_is_published(name: str) -> None:
    printed = run_here("schema", name)
    assert printed.status == 0
    schema = json.loads(printed.output)
    jsonschema_rs.meta.validate(schema)
    assert schema["$id"].endswith(f"/main/docs/schemas/{name}.json")
    assert printed.output == (ROOT / "docs" / "schemas" / f"{name}.json").read_text()


def test_an_unknown_schema_is_refused() -> None:
    refused = run_here("schema", "scenarios")
    assert refused.status == 2
    assert "expected one of scenario, bootstrap, config" in refused.errors


@pytest.mark.thorough
def test_every_file_that_is_shipped_names_its_schema_and_is_valid_by_it() -> None:
    files = files_with_a_schema()
    assert len(files) > 70
    validators = {name: validator(name) for name in SCHEMAS}
    for file in files:
        text = file.read_text(encoding="utf-8")
        found = LINE.match(text)
        assert found is not None, file
        schema = (file.parent / found[1]).resolve()
        assert schema.is_file(), file
        problems = validators[schema.stem].iter_errors(yaml.load(text, Loader))
        assert [f"{one.json_path}: {one.message}" for one in problems] == [], file


def test_settings_are_valid_by_their_schema() -> None:
    config = validator("config")
    assert config.is_valid({"port": 0, "allowed_host": "lab.example", "lab_api": False, "fault": ["slow seconds=1"]})
    assert not config.is_valid({"prot": 0})
    assert not config.is_valid({"port": 65536})


def test_probe_modules_are_valid_by_their_schema() -> None:
    modules = validator("probe-modules")
    [documented] = code_blocks((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8"), "yaml")
    assert [one.message for one in modules.iter_errors(yaml.load(documented, Loader))] == []
    good = {"targets": ["store-*"], "url": "/zs", "password": 7, "timeout": 5}
    assert modules.is_valid({"modules": {"default": good}})
    assert not modules.is_valid({"modules": {}})
    assert not modules.is_valid({"modules": {"default": {**good, "targets": []}}})
    assert not modules.is_valid({"modules": {"default": {**good, "passwort": "x"}}})
