"""Texts for people from where things are declared: docstrings of classes, and of their fields."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from functools import cache

Docstrings = Mapping[str, str]
CITATION = re.compile(r"\s*\([^()]*\d[^()]*\)(?=\.(\s|$))")
"""What cites a reference page, such as `(domain 3.4)`: `source` has it."""


def field_texts(shape: type) -> Docstrings:
    """Return the docstrings below the fields of a class and of its bases, by field; a class takes precedence."""
    found: dict[str, str] = {}
    for one in reversed(shape.__mro__):
        found |= _of_module(one.__module__).get(one.__qualname__, {})
    return found


def summary_of(declared: object) -> str:
    """Return the first sentence of a docstring, without a full stop."""
    first = _docstring(declared).partition("\n\n")[0]
    return CITATION.sub("", " ".join(first.split())).partition(". ")[0].removesuffix(".")


def description_of(declared: object) -> str:
    """Return a docstring without its indentation and citations, each paragraph on one line."""
    paragraphs = (" ".join(one.split()) for one in _docstring(declared).split("\n\n"))
    return "\n\n".join(CITATION.sub("", one) for one in paragraphs)


def _docstring(declared: object) -> str:
    return inspect.cleandoc(getattr(declared, "__doc__", None) or "")


@cache
def _of_module(name: str) -> Mapping[str, Docstrings]:
    """Return the docstrings of the fields of a module's classes, by class; none for a module without a source."""
    module = sys.modules[name]
    if not name.startswith("imagestore_sim."):
        return {}
    tree = ast.parse(inspect.getsource(module))
    return {one.name: _of_class(one) for one in tree.body if isinstance(one, ast.ClassDef)}


def _of_class(declaration: ast.ClassDef) -> Docstrings:
    found = {}
    for field, text in zip(declaration.body, declaration.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                found[name] = " ".join(docstring.split())
    return found
