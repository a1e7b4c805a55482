"""A small scenario for tests: a disk fills up, and is extended."""

from __future__ import annotations

EXAMPLE = """\
title: The disk fills up, the host is extended, nobody was disconnected
hosts:
  imagestore-1: {size: 1 TiB, used: 40%}
storages:
  - {name: gold, hostname: imagestore-1, url: /Cloud_bs}
settings: {ping.interval: 10s}
timeline:
  - at: 0s
    eventually: {storage: gold, status: Connected, within: 5s}
  - at: 1m
    fill: {host: imagestore-1, to: 100%, over: 5m}
  - at: 7m
    expect: {storage: gold, status: Connected, availableCapacity: 0}
  - at: 8m
    resize: {host: imagestore-1, size: 2 TiB}
  - eventually: {storage: gold, availableCapacity: 1 TiB, within: 15s}
invariants:
  - never: {storage: gold, status: Disconnected}
"""
