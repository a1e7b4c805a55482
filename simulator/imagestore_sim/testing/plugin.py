"""The pytest plugin: a lab in the test's own process, its hosts, and a logged-in client.

    async def test_a_storage_is_found(imagestore_client):
        [storage] = await imagestore_client.query("/backup-storage", "name=imagestore-1")
        assert storage["status"] == "Connected"

    def test_a_blocking_client_finds_it_too(imagestore_lab):
        assert requests.get(f"{imagestore_lab.url}/readyz").json()["ready"]

Every test gets its own lab on a free port, ready in some tens of milliseconds, so tests may run in parallel. The lab
runs on its own thread: a test may block, and needs no event loop. In an `async` test, await the calls of fixtures;
elsewhere they return when they are done. A marker overrides the default settings:
`@pytest.mark.imagestore_lab(hosts=5, ping_interval=1)`. With `clock="virtual"` the lab runs in virtual time,
`imagestore_lab.clock`, and no timer is waited for.

`imagestore_shared_lab` is one lab for all tests, reset before each: a `testing.Lab`, whose calls block. It may run in
another process, or be there already.

The plugin runs an `async` test that uses one of the fixtures, unless another plugin (pytest-asyncio, anyio) runs it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from imagestore_sim import testing
    from imagestore_sim.hosts import HostNetwork
    from imagestore_sim.lab import Lab
    from imagestore_sim.settings import Settings
    from imagestore_sim.testing.client import Client
    from imagestore_sim.testing.lab_thread import LabThread

MARKER = "imagestore_lab"
FIXTURES = frozenset(
    (
        "imagestore_settings",
        "imagestore_lab",
        "imagestore_hosts",
        "imagestore_client",
        "imagestore_lab_factory",
        "imagestore_shared_lab",
    )
)
OTHERS = ("asyncio", "anyio", "trio", "tornado", "twisted")
"""Markers of plugins that run asynchronous tests."""
CLOCKS = ("real", "virtual")
WORKERS_VARIABLE = "PYTEST_XDIST_WORKER_COUNT"
PACKAGE = "imagestore_sim."


class PackageFinder(MetaPathFinder):
    """Finds the modules of this package as Python does, with the byte code that an installation has compiled.

    pytest rewrites the assertions of all modules of a distribution with a plugin. Here these are hundreds, none with an
    assertion of a test: where no byte code is kept, as in many images of containers, each run would compile them again.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module of this package, None for every other."""
        return PathFinder.find_spec(fullname, path, target) if fullname.startswith(PACKAGE) else None


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Find the modules of this package before pytest rewrites them."""
    finder = PackageFinder()
    sys.meta_path.insert(0, finder)
    early_config.add_cleanup(lambda: sys.meta_path.remove(finder))


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", f"{MARKER}(**settings): settings of this test's lab, such as hosts=5; clock='virtual' or 'real'"
    )


@pytest.hookimpl
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an asynchronous test that uses a fixture of this plugin, unless another plugin runs it."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test) or not FIXTURES & set(pyfuncitem.fixturenames):
        return None
    if any(pyfuncitem.get_closest_marker(one) for one in OTHERS):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(test(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def _marked_settings(node: pytest.Item) -> dict[str, Any]:
    """Return the settings of a test's marker, `clock` included. Raise what fails the test with one line."""
    marker = node.get_closest_marker(MARKER)
    if marker is None:
        return {"clock": "real"}
    if marker.args:
        raise _refusal(f"{node.nodeid}: {MARKER}({marker.args[0]!r}): expected settings by name, as in hosts=5")
    return {"clock": "real", **marker.kwargs}


def _read(chosen: dict[str, Any], where: str) -> Settings:
    """Return the settings; a free port and a ping each second by default. Raise what fails a test with one line."""
    from pydantic import ValidationError

    from imagestore_sim.settings import SECRET_SETTINGS, Settings
    from imagestore_sim.suggestions import expected
    from imagestore_sim.validation_errors import first_problem

    if chosen.get("clock", "real") not in CLOCKS:
        raise _refusal(f"{where}(clock=...) is 'virtual' or 'real', not {chosen['clock']!r}")
    rest = {name: value for name, value in chosen.items() if name != "clock"}
    for name in rest:
        if name not in Settings.model_fields:
            known = ["clock", *sorted(Settings.model_fields)]
            raise _refusal(f"{where}({name}=...): there is no such setting; {expected(name, known)}")
    try:
        return Settings(**{"port": 0, "ping_interval": 1, **rest})
    except ValidationError as error:
        problem = first_problem(error)
    name = str(problem.place[0]) if problem.place else ""
    given = "..." if name in SECRET_SETTINGS else repr(problem.value)
    raise _refusal(f"{where}({name}={given}): {problem.text}")


def _refusal(text: str) -> BaseException:
    """Return the exception that fails a test with one line."""
    return pytest.fail.Exception(text, pytrace=False)


@pytest.fixture
def imagestore_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Return the settings of this test's lab: those of its marker, else a free port and a ping each second."""
    chosen = {"database": str(tmp_path / "lab.db"), **_marked_settings(request.node)}
    return _read(chosen, f"{request.node.nodeid}: {MARKER}")


@pytest.fixture
def _imagestore_thread(request: pytest.FixtureRequest, imagestore_settings: Settings) -> Iterator[LabThread]:
    from imagestore_sim.testing.lab_thread import LabThread

    with LabThread(imagestore_settings, virtual=_marked_settings(request.node)["clock"] == "virtual") as thread:
        yield thread


@pytest.fixture
def imagestore_lab(_imagestore_thread: LabThread) -> Lab:
    """Return a running lab whose storages are all connected."""
    return _imagestore_thread.lab


@pytest.fixture
def imagestore_hosts(imagestore_lab: Lab) -> HostNetwork:
    """Return the simulated hosts by name: `imagestore_hosts["imagestore-1"]`."""
    return imagestore_lab.network


@pytest.fixture
def imagestore_client(_imagestore_thread: LabThread) -> Client:
    """Return a client that has logged in as admin."""
    return _imagestore_thread.client()


@pytest.fixture(scope="session")
def imagestore_lab_factory() -> Iterator[Callable[..., Lab]]:
    """Return a function that starts labs which run to the end of the session, for fixtures of a wider scope.

    `imagestore_lab_factory(hosts=1, clock="virtual")` starts one and returns it.
    """
    from imagestore_sim.testing.lab_thread import LabThread

    with ExitStack() as labs:

        def start(**chosen: Any) -> Lab:
            settings = _read(chosen, "imagestore_lab_factory")
            return labs.enter_context(LabThread(settings, virtual=chosen.get("clock") == "virtual")).lab

        yield cast("Callable[..., Lab]", start)


@pytest.fixture(scope="session")
def imagestore_shared_options() -> dict[str, Any]:
    """Return the options of the lab that all tests share, such as `{"hosts": 1, "clock": "paused"}`: override it."""
    return {}


@pytest.fixture(scope="session")
def _imagestore_shared(imagestore_shared_options: dict[str, Any]) -> Iterator[testing.Lab]:
    from imagestore_sim.testing.blocking_lab import URL_VARIABLE, Lab

    if os.environ.get(URL_VARIABLE) and int(os.environ.get(WORKERS_VARIABLE, "1")) > 1:
        raise _refusal(f"{URL_VARIABLE} names one lab, which the workers of xdist would reset for each other: use -n 1")
    with Lab(**imagestore_shared_options) as lab:
        yield lab


@pytest.fixture
def imagestore_shared_lab(_imagestore_shared: testing.Lab) -> testing.Lab:
    """Return the lab that all tests share, as it was at its start; with xdist each worker has one."""
    _imagestore_shared.reset()
    return _imagestore_shared
