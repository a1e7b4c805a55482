"""How a table is declared: a class whose annotated attributes are its columns.

    class Zone(Dated, Model):
        __tablename__ = "ZoneVO"

        uuid: Mapped[str] = column(String(32), primary_key=True)
        description: Mapped[str | None] = column(String(2048))

Statements take the class for its table, and `Zone.uuid` for the column. Nothing else of an object-relational mapper is
needed here: rows become JSON without an object between. SQLAlchemy's own, which has to configure each class and each
statement, took a tenth of a start; type checkers still see its `Mapped`.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from sqlalchemy import Column, ForeignKey, MetaData, Table
from sqlalchemy.schema import SchemaItem


class Declared:
    """A column that has been declared, and gets its name from the attribute."""

    def __init__(self, *arguments: Any, sort_order: int = 0, **options: Any) -> None:
        self.sort_order = sort_order
        self._arguments = arguments
        self._options = options

    def named(self, name: str, *, nullable: bool) -> Column[Any]:
        """Return a new column, with foreign keys of its own: a class may be the base of several tables."""
        arguments = [one._copy() if isinstance(one, ForeignKey) else one for one in self._arguments]
        is_key = self._options.get("primary_key", False)
        made: Column[Any] = Column(*arguments, nullable=nullable and not is_key, **self._options)
        made.key = made.name = name  # plain text, which JSON takes as the key of an object
        return made


def column(*arguments: Any, sort_order: int = 0, **options: Any) -> Any:
    """Declare a column as `sqlalchemy.Column` takes it. Columns of a higher `sort_order` come later in the table.

    Whether it may be NULL follows from the annotation.
    """
    return Declared(*arguments, sort_order=sort_order, **options)


class TableClass(type):
    """Makes the table of a class that has a `__tablename__`."""

    __table__: Table
    metadata: MetaData

    def __init__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> None:
        super().__init__(name, bases, members)
        if "__tablename__" not in members:
            return
        columns = _columns_of(cls)
        cls.__table__ = Table(members["__tablename__"], cls.metadata, *columns, *members.get("__table_args__", ()))
        for one in columns:
            setattr(cls, one.key, one)

    def __clause_element__(cls) -> Table:
        return cls.__table__


class Model(metaclass=TableClass):
    """The base class of all tables."""

    metadata: ClassVar[MetaData] = MetaData()
    __tablename__: ClassVar[str]
    __table_args__: ClassVar[tuple[SchemaItem, ...]]
    __table__: ClassVar[Table]


def _columns_of(model: type) -> list[Column[Any]]:
    """Return the columns of a class, its own before those of its bases."""
    found: dict[str, tuple[Declared, bool]] = {}
    for one in model.__mro__:
        for name, annotation in inspect.get_annotations(one).items():
            if isinstance(declared := vars(one).get(name), Declared):
                found.setdefault(name, (declared, "None" in str(annotation)))
    in_order = sorted(found.items(), key=lambda named: named[1][0].sort_order)
    return [declared.named(name, nullable=nullable) for name, (declared, nullable) in in_order]
