"""Errors of operations on images; `api.error_translation` turns them into ZStack's errors."""

from __future__ import annotations

from collections.abc import Sequence

from imagestore_sim.backup_storage.errors import BackupStorageError, OperationFailed


class DownloadFailed(BackupStorageError):
    """An image could not be added; `cause` is the error of the first storage that failed."""

    def __init__(self, name: str, storages: Sequence[str], cause: str) -> None:
        super().__init__(f"Failed to download image[name:{name}] on all backup storage[{', '.join(storages)}].")
        self.cause = cause


class TransferFailed(OperationFailed):
    """The bits of an image did not come to a storage; the text is ZStack's."""

    def __init__(self, url: str, storage: str, why: str) -> None:
        super().__init__(f"failed to download image[url: {url}] on backup storage[uuid: {storage}], because: {why}")


class BitsFailed(OperationFailed):
    """The files of an image could not be written or removed; the text is the host's, or says why it is not reached."""
