"""imagestore-sim: an emulator of ZStack's management node for ImageStore backup storages."""

__version__ = "0.1.0"
