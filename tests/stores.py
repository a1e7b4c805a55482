"""The kinds of store that the same tests run on: a SQLite file; with the marker `mariadb`, a MariaDB."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from mariadb_server import VAULT_KEY, MariaDbServer

STORES = ["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)]


@pytest.fixture(scope="module", params=STORES)
def store_settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the settings by which a node of the module keeps its records in an empty store of either kind."""
    if request.param == "sqlite":
        return {"database": str(tmp_path_factory.mktemp("store") / "node.db")}
    server: MariaDbServer = request.getfixturevalue("mariadb_server")
    return {"database": server.new_database(f"t{uuid4().hex[:12]}"), "vault_key": VAULT_KEY}
