"""Reads bootstrap files; an error names the line and the field."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from imagestore_sim import whole_files
from imagestore_sim.bootstrap.errors import BootstrapError
from imagestore_sim.bootstrap.origin import Origin
from imagestore_sim.bootstrap.record_rules import violations
from imagestore_sim.bootstrap.records import Bootstrap
from imagestore_sim.validation_errors import first_problem
from imagestore_sim.yaml_text import BoundedLoader, TwiceGiven, read_large_yaml

M = TypeVar("M", bound=BaseModel)


class _Loader(BoundedLoader):
    """Loads YAML in which every scalar but null and booleans is text, so that 007 and 1e5 are not read as numbers.

    A name that is given twice in one mapping is an error.
    """

    names_are_unique = True


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:bool")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _NoVariable(yaml.constructor.ConstructorError):
    """A `!env` whose variable is not set, or that came over the network."""


class _FileLoader(_Loader):
    """Loads a file named on the command line, in which `!env` may read the environment."""


def _refuse_environment(loader: _Loader, node: yaml.Node) -> str:
    text = "!env reads the environment of this machine, so it stands only in files named on the command line"
    raise _NoVariable(None, None, text, node.start_mark)


def _from_environment(loader: _FileLoader, node: yaml.Node) -> str:
    """Return the variable of `!env NAME`, by which a file need not contain a password."""
    name = node.value if isinstance(node, yaml.ScalarNode) else ""
    if name not in os.environ:
        problem = f"no variable {name} is set, which !env asks for" if name else "!env needs the name of a variable"
        raise _NoVariable(None, None, problem, node.start_mark)
    return os.environ[name]


_Loader.add_constructor("!env", _refuse_environment)
_FileLoader.add_constructor("!env", _from_environment)


def read_bootstrap(file: Path) -> Bootstrap:
    """Return the records of a file. Raise BootstrapError."""
    return _checked(*_load(_bytes_of(file), str(file), _FileLoader, Bootstrap))


def parse_bootstrap(raw: bytes, file: str) -> Bootstrap:
    """Return the records of a text that came over the network; errors call it `file`. Raise BootstrapError.

    It cannot read the environment of this machine.
    """
    return _checked(*_load(raw, file, _Loader, Bootstrap))


def read_file(file: Path, model: type[M]) -> M:
    """Return what another file than one of records holds, read in the same way. Raise BootstrapError."""
    return _load(_bytes_of(file), str(file), _FileLoader, model)[1]


def _bytes_of(file: Path) -> bytes:
    try:
        return whole_files.read_bytes(file)
    except OSError as error:
        raise BootstrapError(f"{file}: cannot be read: {error.strerror}") from None


def _load(raw: bytes, file: str, loader: type[_Loader], model: type[M]) -> tuple[Origin, M]:
    """Return where a text comes from, and what it holds. Raise BootstrapError."""
    try:
        text = raw.decode("utf-8")
        tree, content = read_large_yaml(text, loader)
    except UnicodeDecodeError:
        raise BootstrapError(f"{file}: is not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else file
        kind = "" if isinstance(error, _NoVariable | TwiceGiven) else "not valid YAML: "
        raise BootstrapError(f"{where}: {kind}{error.problem}") from None
    except yaml.YAMLError as error:
        raise BootstrapError(f"{file}: not valid YAML: {error}") from None
    origin = Origin(file, tree)
    given = {} if content is None else content
    try:
        return origin, model.model_validate(given)
    except ValidationError as error:
        problem = first_problem(error, model, given)
        raise origin.error(problem.place, problem.text) from None


def _checked(origin: Origin, bootstrap: Bootstrap) -> Bootstrap:
    """Return records that follow the rules which no schema has. Raise BootstrapError."""
    for place, text in violations(bootstrap):
        raise origin.error(place, text)
    return bootstrap.coming_from(origin)
