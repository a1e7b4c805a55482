"""`imagestore-sim serve`: a management node alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.exits import FAILURE, SUCCESS

if TYPE_CHECKING:
    from imagestore_sim.settings import Settings


def serve(
    context: typer.Context,
    host: options.Host = None,
    port: options.Port = None,
    allowed_host: options.AllowedHost = None,
    lab_api: Annotated[
        bool | None,
        options.setting(
            "lab_api", "Let /lab/v1 change things.", "off", group=options.LISTENING, flag="--lab-api/--no-lab-api"
        ),
    ] = None,
    lab_token: options.LabToken = None,
    database: Annotated[
        str | None,
        options.setting(
            "database",
            "File, or URL of a MariaDB, to keep the records in: mariadb://user:password@host:port/name.",
            "imagestore-sim.db",
            group=options.RECORDS,
            value="FILE|URL",
        ),
    ] = None,
    cluster_mode: options.ClusterMode = None,
    advertise: options.Advertise = None,
    vault_key: options.VaultKey = None,
    vault_key_file: options.VaultKeyFile = None,
    bootstrap: options.Bootstrap = None,
    identity_file: options.Identity = None,
    host_keys: options.HostKeys = None,
    known_hosts: options.KnownHosts = None,
    ssh_config: options.SshConfig = None,
    hosts_file: options.HostsFile = None,
    read_only_hosts: options.ReadOnly = None,
    write_images: options.WriteImages = None,
    image_lengths: options.ImageLengths = None,
    probe_connection: options.Connection = None,
    probe_modules: options.ProbeModules = None,
    ping_interval: options.Interval = None,
    ping_mode: options.PingMode = None,
    strict: options.Strict = None,
    zstack: options.ZStack = None,
    seed: options.Seed = None,
    config: options.Config = None,
    log_level: options.LogLevel = None,
    log_format: options.LogFormat = None,
) -> int:
    """Run the management node alone, for real hosts or containers.

    Print `ready URL` once it has tried every storage. On a host, create the storage's folder with `registry` and
    `export` in it where they are missing, with --write-images the files of images and exports, and nothing else;
    --read-only-hosts forbids even that.

    Examples:
        records of your own hosts, kept in a file
        imagestore-sim serve --database node.db --bootstrap records.yaml
        log in by a key, through the jump hosts of your SSH configuration
        imagestore-sim serve --identity-file id_ed25519 --ssh-config config
        trust the first key that a host shows, and create nothing on any host
        imagestore-sim serve --host-keys tofu --read-only-hosts
    """
    from imagestore_sim.cli.quick_imports import quick_imports

    with quick_imports():
        from imagestore_sim.cli.running import run
        from imagestore_sim.node import management_node  # noqa: F401 - imports nearly all

    settings = options.read_options(context, lab_api=False, write_images=False)
    return run(lambda: run_node(settings))


async def run_node(settings: Settings) -> int:
    """Run a management node until a signal stops it."""
    from imagestore_sim import logs, open_files
    from imagestore_sim.cli.running import announce, collect_no_more, started, until_stopped
    from imagestore_sim.cli.stories import StoriesOnDemand
    from imagestore_sim.node.management_node import ManagementNode
    from imagestore_sim.scenario.recording.by_hand import ScenarioWriter
    from imagestore_sim.settings import token_of

    logs.configure(settings.log_level, settings.log_format)
    open_files.raise_limit()
    async with until_stopped() as stopped:
        stories = StoriesOnDemand(lambda: node.url, token_of(settings), has_hosts=False)
        node = ManagementNode(settings, story_writer=ScenarioWriter(), stories=stories.open)
        node.foundation.prober.end_with_process()
        async with started(node.start, node.stop, stopped), stories:
            if not stopped.is_set():
                announce(node.url, await node.openings())
                collect_no_more()
                await node.until_excluded(stopped)
    if node.why_excluded:
        print(f"imagestore-sim: {node.why_excluded}", file=sys.stderr)
        return FAILURE
    return SUCCESS
