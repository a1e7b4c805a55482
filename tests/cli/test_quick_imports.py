"""Imports of libraries without what they do at once, and that nothing is missing afterwards."""

from __future__ import annotations

import ctypes.util
import dataclasses
import importlib
import inspect
import pickle
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imagestore_sim.cli import quick_imports as module
from imagestore_sim.cli.quick_imports import quick_imports


def test_a_context_that_is_made_in_the_block_reads_the_certificates_at_its_first_connection() -> None:
    usual = ssl.create_default_context()
    with quick_imports():
        late = ssl.create_default_context()
    same = ("verify_mode", "check_hostname", "options", "minimum_version", "verify_flags")
    assert [getattr(late, name) for name in same] == [getattr(usual, name) for name in same]
    assert late.cert_store_stats()["x509"] == 0
    late.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="example.com")
    assert late.cert_store_stats() == usual.cert_store_stats()


def test_after_the_block_libraries_find_what_they_look_for() -> None:
    before = ssl.create_default_context, ctypes.util.find_library
    with quick_imports():
        assert ctypes.util.find_library("c") is None
    assert (ssl.create_default_context, ctypes.util.find_library) == before


def test_a_late_package_imports_a_name_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "late_example"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from . import part\nfrom .inner import NAME as RENAMED, other\nfrom late_example.inner import third\n"
    )
    (package / "part.py").touch()
    (package / "inner.py").write_text("NAME, other, third = 'name', 'other', 'third'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "LATE_PACKAGES", ("late_example",))
    with quick_imports():
        late: Any = importlib.import_module("late_example")
    assert not {"late_example.part", "late_example.inner"} & sys.modules.keys()
    assert (late.RENAMED, late.other, late.third, vars(late)["RENAMED"]) == ("name", "other", "third", "name")
    assert late.part is sys.modules["late_example.part"]
    assert not hasattr(late, "NAME")
    for name in [one for one in sys.modules if one.startswith("late_example")]:
        del sys.modules[name]


@dataclasses.dataclass(frozen=True, slots=True)
class Usual:
    """A class as dataclasses makes it."""

    a: int
    b: tuple[str, ...] = ()
    c: dict[str, int] = dataclasses.field(default_factory=dict)


with quick_imports():

    @dataclasses.dataclass(frozen=True, slots=True)
    class Late:
        """The same class, with late methods."""

        a: int
        b: tuple[str, ...] = ()
        c: dict[str, int] = dataclasses.field(default_factory=dict)

    @dataclasses.dataclass(order=True)
    class Ordered:
        """A class that can be compared and changed."""

        a: int


def test_late_methods_do_what_those_of_dataclasses_do() -> None:
    one = Late(1, c={"x": 1})
    assert repr(one) == repr(Usual(1, c={"x": 1})).replace("Usual", "Late")
    assert one == Late(1, (), {"x": 1})
    assert one != Late(2)
    assert one != Usual(1, c={"x": 1})  # type: ignore[comparison-overlap]
    assert hash(Late(1, c=None)) == hash(Usual(1, c=None))  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(one)) == dataclasses.replace(one) == one
    assert inspect.signature(Late) == inspect.signature(Usual)
    assert Ordered(1) < Ordered(2)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'a'"):
        one.a = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'b'"):
        del one.b


def test_a_class_of_this_package_has_a_late_init_too() -> None:
    names = {"__name__": "imagestore_sim.cli.late_methods", "dataclass": dataclasses.dataclass}
    text = "@dataclass\nclass One:\n    a: int\n    b: str = 'b'\n"
    with quick_imports():
        exec(text, names)
    one: Any = names["One"]
    assert not inspect.signature(one.__init__).parameters.keys() & {"a", "b"}
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        one()
    assert (one(1).b, one(2, b="c").b) == ("b", "c")
    assert list(inspect.signature(one).parameters) == ["a", "b"]


@pytest.mark.processes
def test_a_lab_imports_nothing_that_a_start_does_not_use() -> None:
    script = (
        "import sys\nfrom imagestore_sim.cli.quick_imports import quick_imports\n"
        "with quick_imports():\n    import imagestore_sim.lab\n"
        "late = {'aiohttp.client', 'sqlalchemy.orm', 'yaml', 'prometheus_client.exposition',"
        " 'imagestore_sim.faults.disk', 'imagestore_sim.lab_api.hosts'} & sys.modules.keys()\n"
        "import aiohttp\nfrom sqlalchemy.ext.asyncio import AsyncSession\n"
        "print(sorted(late), aiohttp.ClientSession.__name__, AsyncSession.__name__)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout == "[] ClientSession AsyncSession\n"
