"""The database of a node, with what reads and writes it for every other part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from imagestore_sim.api import NodeRecord
from imagestore_sim.backup_storage.events import EventLog
from imagestore_sim.backup_storage.global_config import CATEGORY
from imagestore_sim.bootstrap import BootstrapLoader, Snapshots
from imagestore_sim.database import Database, Vault
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.database.vault import open_vault
from imagestore_sim.ids import seed_uuids
from imagestore_sim.images.stored_sources import StoredSources
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.from_settings import default_option_rows, global_options, requested_seed, vault_of
from imagestore_sim.query import QueryEngine, register_functions
from imagestore_sim.rest.encoding import write_stored_date
from imagestore_sim.virtual_clock import VirtualEventLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An open, migrated database and what stands directly on it."""

    database: Database
    vault: Vault
    configuration: GlobalConfiguration
    queries: QueryEngine
    event_log: EventLog
    bootstrap_loader: BootstrapLoader
    snapshots: Snapshots
    image_sources: StoredSources

    async def load_configuration(self, options: Mapping[str, str]) -> None:
        """Read the global configuration, and set the options of storages that the node was started with."""
        await self.configuration.load()
        for name, value in options.items():
            await self.configuration.change(CATEGORY, name, value)


async def open_store(foundation: Foundation, opened: Callable[[Database], object]) -> Store:
    """Open and migrate the database of the settings. Raise DatabaseError.

    `opened` is called as soon as the database is open, so that the caller can close it if a later step fails.
    """
    location = foundation.settings.database
    find_vault = vault_of(foundation.settings)
    database = await Database.open(
        location,
        prepare=register_functions,
        options=default_option_rows(foundation.settings),
        clock=foundation.store_clock,
        shared=foundation.links is not None,
        gate=None if foundation.links is None else partial(foundation.links.pass_store, foundation.clock),
        vault=find_vault,
    )
    opened(database)
    foundation.events.defer = database.defer
    vault = await open_vault(find_vault, foundation.settings.vault_key_file, database)
    await _seed_uuids(database, requested_seed(foundation.settings))
    configuration = GlobalConfiguration(database, global_options(foundation.settings))
    sources = StoredSources(database, foundation.image_sources)
    return Store(
        database=database,
        vault=vault,
        configuration=configuration,
        queries=QueryEngine(database, write_date=write_stored_date),
        event_log=EventLog(database),
        bootstrap_loader=BootstrapLoader(database, vault, configuration, foundation.clock, sources),
        snapshots=Snapshots(database, vault, foundation.image_sources),
        image_sources=sources,
    )


async def _seed_uuids(database: Database, seed: int | None) -> None:
    """Draw new uuids from `seed`, if one was set.

    A database that was kept holds the first uuids of the seed already. Over it new ones are random; virtual time alone
    keeps its seed, since every run of a scenario is to be the same.
    """
    kept = await NodeRecord.is_known(database)
    if not kept and seed is not None:
        seed_uuids(seed)
    elif kept and not isinstance(asyncio.get_running_loop(), VirtualEventLoop):
        seed_uuids(None)
