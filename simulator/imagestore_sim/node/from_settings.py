"""Objects that a node makes from its settings alone: the guard, the prober, the options, the seed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from imagestore_sim import lab_api
from imagestore_sim.backup_storage.global_config import CATEGORY, PING_INTERVAL, PING_MODE
from imagestore_sim.backup_storage.global_config import OPTIONS as STORAGE_OPTIONS
from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.clock import Clock
from imagestore_sim.database import Vault
from imagestore_sim.database.global_config import ConfigOption, default_rows
from imagestore_sim.database.location import file_of
from imagestore_sim.database.schema import OptionRow
from imagestore_sim.database.zstack_global_config import zstack_options
from imagestore_sim.host_names import check_allowed
from imagestore_sim.lab_api import Guard, ProbePage
from imagestore_sim.probe import HostKeyPolicy, Observe, Prober, Resolve
from imagestore_sim.probe.agent import PORT as AGENT_PORT
from imagestore_sim.probe.prober import MOST_LOGINS
from imagestore_sim.rest.leniency import LENIENT, STRICT, Leniency
from imagestore_sim.rest.versions import VERSIONS, ZStackVersion
from imagestore_sim.settings import Settings, token_of

if TYPE_CHECKING:
    from imagestore_sim.lab_api import ProbeModule


def new_guard(settings: Settings) -> Guard:
    """Return the guard of every request. The host name that the node listens on is one of its names."""
    names = list(settings.allowed_host)
    with contextlib.suppress(ValueError):  # an address, which needs no permission
        names.append(check_allowed(settings.host))
    return Guard(names, token=token_of(settings), lab_api=settings.lab_api)


def vault_of(settings: Settings) -> Callable[[], Vault]:
    """Return what opens the vault: of the key in the settings or in its file, else of that beside the database.

    Call it in a thread: it may read or make the file. Raise DatabaseError, as what is returned does.
    """
    if settings.vault_key is not None:
        return partial(Vault.of_key, settings.vault_key.get_secret_value())
    if settings.vault_key_file is not None:
        return partial(Vault.open, settings.vault_key_file)
    if file_of(settings.database) is None:
        Vault.beside(settings.database)  # which says what is missing
    return partial(Vault.beside, settings.database)


def new_prober(
    settings: Settings,
    clock: Clock,
    resolve: Resolve | None = None,
    observe: Observe = lambda _: None,
    *,
    agent_port: int = AGENT_PORT,
    max_logins: int = MOST_LOGINS,
) -> Prober:
    """Return a prober. `resolve` finds the address of a host name; the default is DNS.

    `max_logins` are under way at once for each purpose.

    Raise ValueError for a key, known-hosts or SSH configuration file that cannot be used.
    """
    return Prober(
        clock,
        resolve=resolve,
        warm=settings.probe_connection == "warm",
        keep_alive=settings.probe_keep_alive,
        identity_file=settings.identity_file,
        host_keys=HostKeyPolicy(settings.host_keys),
        known_hosts=settings.known_hosts or _beside(settings.database),
        ssh_config=settings.ssh_config,
        hosts_files=settings.hosts_file,
        read_only_hosts=settings.read_only_hosts,
        seed=settings.seed,
        observe=observe,
        agent_port=agent_port,
        max_logins=max_logins,
    )


def new_probe_page(settings: Settings, clock: Clock, resolve: Resolve | None = None) -> ProbePage:
    """Return what answers `/probe`: nothing may be probed without a file of modules.

    Raise BootstrapError for that file, ValueError for another one that cannot be used.
    """
    modules = {} if settings.probe_modules is None else lab_api.read_modules(settings.probe_modules).modules

    def prober_of(module: ProbeModule) -> Prober:
        return new_prober(
            settings.model_copy(
                update={"probe_connection": "fresh", "identity_file": module.identityFile, "read_only_hosts": True}
            ),
            clock,
            resolve,
        )

    return ProbePage(modules, prober_of)


def _beside(database: str) -> Path:
    """Return the default file of host keys: `imagestore-sim.db.known_hosts` beside the database."""
    file = file_of(database) or Path("imagestore-sim.db")
    return file.with_name(f"{file.name}.known_hosts")


def leniency(settings: Settings) -> Leniency:
    """Return how lenient the REST API is towards clients."""
    return STRICT if settings.strict else LENIENT


def zstack_version(settings: Settings) -> ZStackVersion:
    """Return the version of ZStack that the node answers as."""
    return VERSIONS[settings.zstack]


def requested_seed(settings: Settings) -> int | None:
    """Return the seed if one was set explicitly, else None: the default seed makes no uuid predictable."""
    return settings.seed if "seed" in settings.model_fields_set else None


def global_options(settings: Settings) -> tuple[ConfigOption[object], ...]:
    """Return the options of the global configuration. Unless strict, some defaults are the emulator's own."""
    return _options(strict=settings.strict)


@cache
def _options(*, strict: bool) -> tuple[ConfigOption[object], ...]:
    options: dict[tuple[str, str], ConfigOption[object]] = dict(zstack_options())
    options |= {(one.category, one.name): one for one in STORAGE_OPTIONS if one.ours or not strict}
    return tuple(options.values())


def default_option_rows(settings: Settings) -> tuple[OptionRow, ...]:
    """Return the rows of these options in a new database."""
    return default_rows(global_options(settings))


def ping_options(settings: Settings) -> dict[str, str]:
    """Return the options of the global configuration about pings that the settings give, by their names."""
    given = {PING_INTERVAL.name: settings.ping_interval, PING_MODE.name: settings.ping_mode}
    return {name: str(value) for name, value in given.items() if value is not None}


def with_ping_options(records: Bootstrap, settings: Settings) -> Bootstrap:
    """Return the records with the settings' options about pings, unless the records have their own."""
    options = {**ping_options(settings), **records.globalConfig.get(CATEGORY, {})}
    if not options:
        return records
    return records.model_copy(update={"globalConfig": {**records.globalConfig, CATEGORY: options}})
