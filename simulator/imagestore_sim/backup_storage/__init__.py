"""The life of a backup storage: how it is added, connected, pinged, changed and deleted."""
