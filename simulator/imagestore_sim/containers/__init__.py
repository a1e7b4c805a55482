"""Scenarios on real hosts: containers of a Docker engine, each with OpenSSH and a disk of its own."""
