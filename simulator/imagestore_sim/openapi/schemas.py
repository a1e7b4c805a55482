"""JSON Schemas of the types that answers have: inventories, declared shapes, and plain values."""

from __future__ import annotations

from types import UnionType
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from imagestore_sim.openapi.texts import description_of, field_texts
from imagestore_sim.query import Inventory
from imagestore_sim.query.inventories import INVENTORIES, Collection, Field, Kind

Json = dict[str, Any]
REFERENCE = "#/components/schemas/"
PLAIN: dict[object, Json] = {
    str: {"type": "string"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number", "format": "double"},
    bool: {"type": "boolean"},
    object: {},
    Any: {},
}
DATE = "Date"
DATE_SCHEMA: Json = {
    "type": "string",
    "description": "A date in the node's time zone, as ZStack writes it. Only minutes and seconds have two digits.",
    "pattern": r"^[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d{2}:\d{2} [AP]M$",
    "examples": ["Nov 14, 2017 10:20:57 PM"],
}


class Schemas:
    """The schemas of a document by name: each is added when something first refers to it."""

    def __init__(self) -> None:
        self.by_name: dict[str, Json] = {}

    def add(self, name: str, schema: Json) -> Json:
        """Add a schema, and return a reference to it."""
        self.by_name[name] = schema
        return reference_to(name)

    def of(self, kind: object) -> Json:
        """Return the schema of a type: what a message declares for a member of its reply, or a type hint."""
        if isinstance(kind, Inventory):
            return self._of_row(kind)
        if isinstance(kind, list):
            return {"type": "array", "items": self.of(kind[0])}
        if isinstance(kind, dict):
            return {"type": "object", "additionalProperties": self.of(kind[""])}
        if is_typeddict(kind):
            assert isinstance(kind, type)
            return self._named(kind.__name__, kind)
        return self._of_hint(kind)

    def _of_hint(self, hint: object) -> Json:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is list:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(arguments[1]) or True}
        if origin is NotRequired:
            return self.of(arguments[0])
        if origin in (Union, UnionType):
            return self.of(next(one for one in arguments if one is not type(None)))
        return dict(PLAIN[hint])

    def _of_row(self, inventory: Inventory) -> Json:
        """Return the schema of a row: an inventory, or one of its children."""
        own = self._of_inventory(inventory)
        if not inventory.children:
            return own
        return {"anyOf": [*map(self._of_inventory, inventory.children.values()), own]}

    def _of_inventory(self, inventory: Inventory) -> Json:
        if inventory.name not in self.by_name:
            self.by_name[inventory.name] = {}  # for inventories that refer to each other
            members = {one.name: self._of_field(one) for one in inventory.fields}
            members |= {one.name: self._of_collection(one) for one in inventory.collections}
            members |= {one: {"type": "array", "items": {"type": "object"}} for one in inventory.lists - members.keys()}
            self.by_name[inventory.name] = {
                "type": "object",
                "description": f"{inventory.java_class}. A member without a value is left out.",
                "properties": members,
                "x-java-class": inventory.java_class,
            }
        return reference_to(inventory.name)

    def _of_field(self, field: Field) -> Json:
        if field.kind is Kind.DATE:
            return self._date()
        schemas: dict[Kind, Json] = {
            Kind.NUMBER: PLAIN[int],
            Kind.BOOLEAN: PLAIN[bool],
            Kind.JSON: {"type": "array", "items": {"type": "object"}},
        }
        schema = dict(schemas.get(field.kind, PLAIN[str])) | ({"format": "int32"} if field.integer else {})
        return {**schema, "description": field.text} if field.text else schema

    def _of_collection(self, collection: Collection) -> Json:
        if collection.inventory is None:
            return {"type": "array", "items": dict(PLAIN[str])}
        return {"type": "array", "items": self._of_inventory(INVENTORIES[collection.inventory])}

    def _date(self) -> Json:
        return self.add(DATE, DATE_SCHEMA)

    def _named(self, name: str, shape: type) -> Json:
        if name not in self.by_name:
            self.by_name[name] = {}
            hints, texts = get_type_hints(shape, include_extras=True), field_texts(shape)
            members = {one: {**self.of(hint), **_described(texts.get(one))} for one, hint in hints.items()}
            self.by_name[name] = {
                "type": "object",
                "description": description_of(shape),
                "required": [one for one, hint in hints.items() if get_origin(hint) is not NotRequired],
                "properties": members,
            }
        return reference_to(name)


def reference_to(name: str) -> Json:
    """Return a reference to a schema of the document."""
    return {"$ref": f"{REFERENCE}{name}"}


def _described(text: str | None) -> Json:
    return {"description": text} if text else {}
