"""`imagestore-sim compose-file`: the Compose file of the lab in containers, for any folder."""

from __future__ import annotations

from pathlib import Path

import yaml

from imagestore_sim.cli.compose_file import with_places
from processes import run_here

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "simulator" / "imagestore_sim"


def test_every_place_in_it_is_spelled_out_and_there() -> None:
    printed = run_here("compose-file")
    assert printed.status == 0
    services = yaml.safe_load(printed.output)["services"]
    builds = [one["build"] for one in services.values() if "build" in one]
    contexts = {build["context"] for build in builds}
    host = PACKAGE / "containers" / "images" / "host"
    assert contexts == {str(ROOT), str(host), str(ROOT / "docker" / "mariadb"), str(ROOT / "docker" / "proxy")}
    mounted = [volume.split(":")[0] for one in services.values() for volume in one.get("volumes", ())]
    files = {place for place in mounted if "docker/" in place}
    assert len(files) == 4
    assert all(Path(place).is_absolute() and Path(place).exists() for place in files)
    assert yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].keys() == services.keys()


def test_nothing_else_is_changed() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    changed = [old for old, new in zip(text.splitlines(), with_places(text).splitlines(), strict=True) if old != new]
    assert {line.strip().split(" ")[0] for line in changed} == {"context:", "build:", "-"}
    assert len(changed) == 9
