"""The way from a SQLite file to a cluster of three goes as docs/scale.md says."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from code_blocks import code_blocks, shell
from mariadb_server import MariaDbServer, free_port
from processes import running

pytestmark = pytest.mark.mariadb
TEXT = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
HOSTS = 5
SECONDS = 240.0
BEGIN = "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n"
END = "curl -s http://127.0.0.1:8082/metrics | grep '^imagestore_sim_backup_storages{'"


async def test_records_move_from_a_file_to_three_nodes_over_a_mariadb(
    mariadb_server: MariaDbServer, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    section = TEXT.partition("## From SQLite to a cluster")[2]
    [statements] = code_blocks(section, "sql")
    mariadb_server.sql("DROP DATABASE IF EXISTS imagestore; DROP USER IF EXISTS imagestore@'%';")  # of a run before
    mariadb_server.sql(statements)
    script = BEGIN + "\n".join(code_blocks(section, "sh")) + END
    for port in (8080, 8081, 8082, 8083):
        script = script.replace(str(port), str(free_port()))
    script = script.replace(":3306/", f":{mariadb_server.port}/")
    [first] = re.findall(r"curl -fsS (http://[0-9.:]+)/lab", script)
    environment = {
        "IMAGESTORE_SIM_PORT": first.rpartition(":")[2],
        "IMAGESTORE_LAB_URL": first,
        "PATH": f"{_programs(tmp_path)}:{os.environ['PATH']}",
    }
    options = ("--count", str(HOSTS), "--port", "0", "--password", "s3cret-of-hosts", "--inventory", "fleet.yaml")
    async with running("host", *options, cwd=tmp_path):
        status, said = await shell(script, cwd=tmp_path, environment=environment, seconds=SECONDS)
    assert status == 0, said
    assert sum(map(int, re.findall(r"^imagestore_sim_cluster_owned_storages (\d+)", said, re.MULTILINE))) == HOSTS
    assert re.search(rf'^imagestore_sim_backup_storages{{.*status="Connected".*}} {HOSTS}', said, re.MULTILINE), said


def _programs(folder: Path) -> Path:
    """Return a folder with the command. The shell's `$!` is the pid of a program, but not of a function."""
    program = folder / "bin" / "imagestore-sim"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m imagestore_sim "$@"\n')
    program.chmod(0o755)
    return program.parent
