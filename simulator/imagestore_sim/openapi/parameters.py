"""The parameters of an API: their schemas, with rules, defaults and texts; in paths, query strings and bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imagestore_sim.openapi.schemas import Json, Schemas
from imagestore_sim.openapi.texts import field_texts
from imagestore_sim.rest.binding import TAGS
from imagestore_sim.rest.messages import REQUIRED, Message
from imagestore_sim.rest.parameters import Kind, Parameter

SCHEMAS: dict[Kind, Json] = {
    Kind.STRING: {"type": "string"},
    Kind.INTEGER: {"type": "integer", "format": "int32"},
    Kind.LONG: {"type": "integer", "format": "int64"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.STRINGS: {"type": "array", "items": {"type": "string"}},
    Kind.MAP: {"type": "object", "additionalProperties": True},
    Kind.OBJECTS: {"type": "array", "items": {"type": "object"}},
}
SECRETS = ("password", "oldPassword", "AccessKeySecret")
OF_ONE: Json = {"type": "string", "description": "The uuid of the one to show."}
"""The variable of a path on which a query shows one row."""
VARIABLE = re.compile(r"\{(\w+)\}")
TAG_TEXTS = {
    "systemTags": "System tags that the resource gets, which have a meaning to ZStack.",
    "userTags": "User tags that the resource gets.",
}


def variables_of(path: str) -> list[str]:
    """Return the names of a path's variables."""
    return VARIABLE.findall(path)


class MessageParameters:
    """The parameters of a message."""

    def __init__(self, message: type[Message]) -> None:
        self._message = message
        self._texts = field_texts(message)
        self._defaults = {name: one for name, one in message.defaults.items() if one is not REQUIRED}

    def in_path(self, path: str, example: Json | None = None) -> Iterator[Json]:
        """Yield the parameters in a path."""
        by_name = {one.name: one for one in self._message.api.parameters}
        for name in variables_of(path):
            schema = self.schema(by_name[name]) if name in by_name else OF_ONE
            found: Json = {"name": name, "in": "path", "required": True, **_split(schema)}
            if example is not None and name in example:
                found["example"] = example[name]
            yield found

    def in_query_string(self, path: str) -> Iterator[Json]:
        """Yield the parameters in the query string of a GET or DELETE."""
        for parameter in self._besides(path):
            if parameter.kind in (Kind.OBJECTS, Kind.MAP):
                continue  # a query string has no form for them
            found = {"name": parameter.name, "in": "query", "required": parameter.required}
            explode = {"style": "form", "explode": True} if parameter.kind is Kind.STRINGS else {}
            yield found | explode | _split(self.schema(parameter))

    def body(self, path: str, schemas: Schemas, key: str) -> Json:
        """Return the schema of the body of a POST or PUT, whose member `key` holds the parameters."""
        own = [one for one in self._besides(path) if one.name not in TAGS]
        held: Json = {"type": "object", "properties": {one.name: self.schema(one) for one in own}}
        required = [one.name for one in own if one.required]
        if required:
            held["required"] = required
        tags = {name: {**SCHEMAS[Kind.STRINGS], "description": TAG_TEXTS[name]} for name in TAGS}
        name = self._message.__name__
        return schemas.add(
            f"{name}Body",
            {"type": "object", "required": [key], "properties": {key: schemas.add(name, held), **tags}},
        )

    def schema(self, parameter: Parameter) -> Json:
        """Return the schema of a parameter."""
        rule = parameter.rule
        schema = {**SCHEMAS[parameter.kind]}
        text = self._texts.get(parameter.name) or TAG_TEXTS.get(parameter.name)
        if text is None and rule.resource:
            many = parameter.kind is Kind.STRINGS
            text = f"The {'uuids of resources' if many else 'uuid of a resource'} of type {rule.resource}."
        limits: Json = {
            "description": text,
            "minLength": rule.min_length if rule.empty_string else max(1, rule.min_length or 0),
            "maxLength": rule.max_length,
            "pattern": rule.valid_regex,
            "minimum": rule.number_range[0] if rule.number_range and not rule.zero_is_unset else None,
            "maximum": rule.number_range[1] if rule.number_range else None,
            "minItems": 1 if rule.nonempty else None,
            "default": self._default(parameter),
            "x-resource": rule.resource,
            "writeOnly": parameter.name in SECRETS or None,
        }
        if rule.valid_values and parameter.kind is Kind.STRINGS:
            schema["items"] = {"type": "string", "enum": list(rule.valid_values)}
        elif rule.valid_values:
            schema["enum"] = list(rule.valid_values)
        return schema | {name: value for name, value in limits.items() if value is not None}

    def _default(self, parameter: Parameter) -> object:
        default = self._defaults.get(parameter.name)
        return default if isinstance(default, str | int) else None

    def _besides(self, path: str) -> list[Parameter]:
        in_path = variables_of(path)
        return [one for one in self._message.api.parameters if one.name not in in_path]


def _split(schema: Json) -> Json:
    """Return a parameter's members: its schema, and its description beside it."""
    inner = {name: value for name, value in schema.items() if name != "description"}
    return {"description": schema["description"], "schema": inner} if "description" in schema else {"schema": inner}
