"""Methods of dataclasses that are compiled when they are first called.

`dataclasses` writes up to six methods for each class and compiles them at once: for the classes of a lab that took a
seventh of its start, and few of their methods are ever called but `__init__`.
"""

from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any

WRITER = "_create_fn"
"""What compiles a method in Python 3.11 and 3.12. Later versions compile all methods of a class together."""
OURS = "imagestore_sim"


def _first_call(*args: Any, **kwargs: Any) -> Any:
    """Compile the method that this is the code of, and call it. Its globals hold `_compile`."""
    return _compile()(*args, **kwargs)  # type: ignore[name-defined]  # noqa: F821


def _late_method(
    name: str,
    args: Sequence[str],
    body: Sequence[str],
    *,
    globals: Mapping[str, Any],  # noqa: A002 - the names of dataclasses
    locals: Mapping[str, Any] | None = None,  # noqa: A002
    return_type: object = dataclasses.MISSING,
) -> FunctionType:
    """Return a method that is compiled when it is first called, and from then on is as dataclasses makes it.

    A method uses nothing but `locals` and built-in names.
    """
    names = {**(locals or {}), "_return_type": return_type, "__builtins__": builtins}
    names["__name__"] = globals.get("__name__")
    method = FunctionType(_first_call.__code__, names, name)

    def compile_now() -> FunctionType:
        returned = "" if return_type is dataclasses.MISSING else " -> _return_type"
        lines = "\n".join(f" {line}" for line in body)
        exec(f"def {name}({','.join(args)}){returned}:\n{lines}", names)  # noqa: S102 - what dataclasses has written
        made = names[name]
        method.__defaults__, method.__kwdefaults__ = made.__defaults__, made.__kwdefaults__
        method.__annotations__, method.__code__ = made.__annotations__, made.__code__
        return method

    names["_compile"] = compile_now
    return method


@contextmanager
def late_methods() -> Iterator[None]:
    """Let the dataclasses that are made in the block have late methods.

    `__init__` of a library's class is compiled at once: a library may read its parameters.
    """
    write: Callable[..., FunctionType] | None = getattr(dataclasses, WRITER, None)
    if write is None:
        yield
        return

    def choose(name: str, *arguments: Any, globals: Mapping[str, Any], **options: Any) -> FunctionType:  # noqa: A002
        is_ours = str(globals.get("__name__")).startswith(f"{OURS}.")
        return (_late_method if is_ours or name != "__init__" else write)(name, *arguments, globals=globals, **options)

    setattr(dataclasses, WRITER, choose)
    try:
        yield
    finally:
        setattr(dataclasses, WRITER, write)
