"""The life cycle of a backup storage: add, connect, ping, update and delete."""
