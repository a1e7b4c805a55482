"""Do the work of a fresh probe with parallel-ssh: log in, run df, log out. For benchmarks/probe.py.

python benchmarks/pssh_probe.py PORT USER IDENTITY PATH TIMES AT_ONCE

Prints JSON: `serial`, the seconds of each login; `at_once`, the seconds of AT_ONCE logins together; `failed`, a count.
"""

from __future__ import annotations

import json
import sys
import time

from pssh.clients import ParallelSSHClient, SSHClient

HOST = "127.0.0.1"


def main() -> None:
    """Log in TIMES times one after another, then AT_ONCE times at once."""
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
