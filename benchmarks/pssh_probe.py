"""parallel-ssh at the same job as a fresh probe: log in, run df, log out. For benchmarks/probe.py; prints seconds.

python benchmarks/pssh_probe.py PORT USER IDENTITY PATH TIMES AT_ONCE
"""

from __future__ import annotations

import json
import sys
import time

from pssh.clients import ParallelSSHClient, SSHClient

HOST = "127.0.0.1"


def main() -> None:
    """TIMES logins one after another, then AT_ONCE of them at once."""
    port, user, identity, path, times, at_once = sys.argv[1:]
    options = {"user": user, "port": int(port), "pkey": identity, "allow_agent": False, "num_retries": 1}
    command = f"df -kP {path}"
    serial = []
    for _ in range(int(times)):
        began = time.perf_counter()
        client = SSHClient(HOST, **options)
        answer = client.run_command(command)
        lines = list(answer.stdout)
        client.wait_finished(answer)
        client.disconnect()
        serial.append(time.perf_counter() - began)
        assert len(lines) == 2, lines
    began = time.perf_counter()
    many = ParallelSSHClient([HOST] * int(at_once), pool_size=int(at_once), **options)
    answers = many.run_command(command, stop_on_errors=False)
    many.join()
    failed = sum(answer.exception is not None or len(list(answer.stdout)) != 2 for answer in answers)
    print(json.dumps({"serial": serial, "at_once": time.perf_counter() - began, "failed": failed}))


if __name__ == "__main__":
    main()
