"""Imports libraries without what they do at once for uses that may never come."""

from __future__ import annotations

import ast
import ctypes.util
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

from typing_extensions import override

from imagestore_sim.cli.late_methods import late_methods

LATE_PACKAGES = (
    "aiohttp",
    "prometheus_client",
    "sqlalchemy.ext.asyncio",
    "imagestore_sim.bootstrap",
    "imagestore_sim.lab_api",
)
"""Packages whose names are imported when they are used: the client of aiohttp, a web server of its own for metrics, the
object-relational mapper, the reader of bootstrap files, and what answers the calls of `/lab/v1`."""


class LateTrust(ssl.SSLContext):
    """A TLS context of a client that reads the machine's certificates at its first connection."""

    _has_read = False

    @override
    def wrap_bio(self, *arguments: object, **options: object) -> ssl.SSLObject:
        if not self._has_read:
            self._has_read = True
            self.load_default_certs()
        return super().wrap_bio(*arguments, **options)  # type: ignore[arg-type]


def _late_trust() -> ssl.SSLContext:
    """Return what `ssl.create_default_context()` returns, without the certificates yet."""
    made = LateTrust(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return made


class LatePackage(ModuleType):
    """A package that imports a name from its own modules when the name is first looked up (PEP 562)."""

    _sources: dict[str, tuple[str, str | None]]
    """Of each name that is still to be imported: its module, and what it is called there; None for the module."""

    def __getattr__(self, name: str) -> object:
        """Import a name. Raise AttributeError for one that the package does not have."""
        if name.startswith("__") or name not in self._sources:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module, original = self._sources[name]
        imported = import_module(module)
        found = imported if original is None else getattr(imported, original)
        setattr(self, name, found)
        return found


class LateLoader(SourceFileLoader):
    """Loads a LatePackage: it executes all but the statements that import names from the package's own modules."""

    @override
    def exec_module(self, module: ModuleType) -> None:
        tree = ast.parse(self.get_data(self.path))
        now: list[ast.stmt] = []
        sources: dict[str, tuple[str, str | None]] = {}
        for one in tree.body:
            if (late := _late_names(one, module.__name__)) is None:
                now.append(one)
            else:
                sources |= late
        module.__class__ = LatePackage
        module._sources = sources  # type: ignore[attr-defined]
        exec(compile(ast.Module(now, type_ignores=[]), self.path, "exec"), vars(module))  # noqa: S102 - a library


def _late_names(statement: ast.stmt, package: str) -> dict[str, tuple[str, str | None]] | None:
    """Return the names that a statement imports from modules of a package, as `_sources` has them; None for no such."""
    match statement:
        case ast.ImportFrom(module=None, level=1, names=names):
            return {one.asname or one.name: (f"{package}.{one.name}", None) for one in names}
        case ast.ImportFrom(module=str(module), level=1, names=names):
            return {one.asname or one.name: (f"{package}.{module}", one.name) for one in names}
        case ast.ImportFrom(module=str(module), level=0, names=names) if module.startswith(f"{package}."):
            return {one.asname or one.name: (module, one.name) for one in names}
    return None


class LatePackages:
    """Finds LATE_PACKAGES, for `sys.meta_path`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how a package is loaded late; None for all else."""
        found = PathFinder.find_spec(fullname, path, target) if fullname in LATE_PACKAGES else None
        if found is not None and isinstance(found.loader, SourceFileLoader):
            found.loader = LateLoader(fullname, found.loader.path)
        return found


def _without_plugins() -> None:
    """Let pydantic not look for plugins of its own, for which it reads the metadata of every installed package."""
    from pydantic.plugin import _loader

    if getattr(_loader, "_plugins", _loader) is None:
        _loader._plugins = {}


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import in the block.

    aiohttp makes its TLS context at its import, and so reads some hundred certificates. asyncssh looks for liboqs and
    nettle, for which Python runs ldconfig and a compiler; without them it offers all of its other algorithms, which
    are the same on every machine. Pydantic has no plugins. Dataclasses get late methods.
    """
    late_packages = LatePackages()
    sys.meta_path.insert(0, late_packages)
    replaced = ssl.create_default_context, ctypes.util.find_library
    ssl.create_default_context, ctypes.util.find_library = _late_trust, lambda name: None  # type: ignore[assignment]
    try:
        with late_methods():
            _without_plugins()
            yield
    finally:
        sys.meta_path.remove(late_packages)
        ssl.create_default_context, ctypes.util.find_library = replaced
