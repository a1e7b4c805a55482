"""Numbers in text: ASCII digits, as JSON, Java and the shell read them.

Python takes more: `1_000`, the digits of other scripts, and blanks such as U+00A0 around them.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

_WITH_SCHEMAS = frozenset(
    [
        "schema",
        "fields",
        "items_schema",
        "keys_schema",
        "values_schema",
        "choices",
        "steps",
        "definitions",
        "lax_schema",
        "strict_schema",
        "json_schema",
        "python_schema",
    ]
)
"""The members of pydantic's schemas that hold other schemas."""


def may_be_number(text: str) -> bool:
    """Return whether a text that int() or float() reads is a number elsewhere, too."""
    return text.isascii() and "_" not in text


def _with_plain_numbers(schema: Any) -> Any:
    """Return a schema whose numbers, at any depth, refuse such texts."""
    kind = schema.get("type")
    if kind in _CHECKS and not schema.get("strict"):
        return core_schema.no_info_before_validator_function(_CHECKS[kind], schema)
    if kind == "function-before" and schema["function"]["function"] in _CHECKS.values():
        return schema  # of a model inside
    return {name: _parts(one) if name in _WITH_SCHEMAS else one for name, one in schema.items()}


def _parts(value: Any) -> Any:
    """Return a part of a schema: another schema, or several in a list, in a dictionary or beside their names."""
    if isinstance(value, list | tuple):
        return type(value)(map(_parts, value))
    if isinstance(value, dict):
        is_schema = isinstance(value.get("type"), str)
        return _with_plain_numbers(value) if is_schema else {name: _parts(one) for name, one in value.items()}
    return value


def _check_int(value: object) -> object:
    return _checked(value, "int_parsing")


def _check_float(value: object) -> object:
    return _checked(value, "float_parsing")


def _checked(value: object, problem: Any) -> object:
    if isinstance(value, str) and not may_be_number(value):
        raise PydanticKnownError(problem)
    return value


_CHECKS = {"int": _check_int, "float": _check_float}


class PlainNumbers(BaseModel):
    """Base class of models whose numbers clients may write as text."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Refuse a text that is a number in Python alone, with the error that others have."""
        found: CoreSchema = _with_plain_numbers(handler(source))
        return found
