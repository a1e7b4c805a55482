"""Container hosts: containers of a Docker engine, each with OpenSSH, a disk of its own, and faults."""
