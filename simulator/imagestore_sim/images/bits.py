"""The bits of images: a sparse file on the host of an ImageStore, with its metadata beside it (domain 8).

An image with the install path `zstore://NAME/ID` is the file `<url>/registry/NAME/ID`; `ID.imf2` holds its metadata. An
export is the file `<url>/export/FILE`; what is said of install paths here holds for its path `export://FILE`, too.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import orjson

from imagestore_sim.images.errors import BitsFailed
from imagestore_sim.pieces import in_pieces
from imagestore_sim.probe import Capacity, FileRefused, ProbeFailure, Prober, SftpSession, Target, files
from imagestore_sim.tasks import together

T = TypeVar("T")
INSTALL_PATH = re.compile(r"zstore://([0-9a-zA-Z_-]{1,64})/([0-9a-zA-Z_-]{1,64})")
"""Install paths that name files inside the registry; a bootstrap file may hold any text."""
EXPORT_PATH = re.compile(r"export://([0-9a-zA-Z_-]{1,64}\.[0-9a-zA-Z]{1,16})")
EXPORT_URL = re.compile(r"http://[^/]+/export/([^/]+)")
REGISTRY, EXPORT, METADATA = "registry", "export", "imf2"
MOST_IMAGES = 2000
"""How many images a listing of a registry holds at most."""
AT_ONCE = 50
"""How many of them are asked for at once."""
LONGEST_METADATA = 16 * 1024


@dataclass(frozen=True, slots=True)
class StoredBits:
    """What records say of the bits of an image: the uuid of their storage, their install path, their size in bytes."""

    storage: str
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bits of an image are: an account on a host, and the folder and name of the file there."""

    target: Target
    folder: str
    name: str
    exported: bool = False
    """Whether it is an export: its folder holds others, and it has no metadata."""

    @property
    def file(self) -> str:
        """The path of the image's file."""
        return f"{self.folder}/{self.name}"

    @property
    def metadata(self) -> str:
        """The path of the file with its metadata."""
        return f"{self.file}.{METADATA}"


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image in a registry: its install path, the bytes of its file, and what its metadata say."""

    path: str
    size: int
    metadata: Mapping[str, object]


def install_path(image_uuid: str) -> str:
    """Return the install path of an image that was added to an ImageStore."""
    return f"zstore://{image_uuid}/{image_uuid}"


def bits_path(image_uuid: str, path: str) -> str:
    """Return the install path of an image's bits: while they come, its ref shows another text, or none."""
    return path if INSTALL_PATH.fullmatch(path) or EXPORT_PATH.fullmatch(path) else install_path(image_uuid)


def export_path(url: str | None) -> str | None:
    """Return the path of the file of an export with this url; None for a url that is not one of ours."""
    found = EXPORT_URL.fullmatch(url or "")
    path = f"{EXPORT}://{found[1]}" if found else ""
    return path if EXPORT_PATH.fullmatch(path) else None


def paths_of(install: str, export_url: str | None) -> list[str]:
    """Return the paths of all that an image has on a storage, its export included."""
    exported = export_path(export_url)
    return [install] if exported is None else [install, exported]


def file_below(url: str, path: str) -> str | None:
    """Return the file of an install path, or of an export, below a storage's url; None for one that names no file."""
    root = url.rstrip("/")
    if (exported := EXPORT_PATH.fullmatch(path)) is not None:
        return f"{root}/{EXPORT}/{exported[1]}"
    found = INSTALL_PATH.fullmatch(path)
    return None if found is None else f"{root}/{REGISTRY}/{found[1]}/{found[2]}"


def place_of(target: Target, path: str) -> Place | None:
    """Return where an install path is on a host; None for one that names no file of the registry."""
    if (file := file_below(target.url, path)) is None:
        return None
    folder, _, name = file.rpartition("/")
    return Place(target, folder, name, exported=EXPORT_PATH.fullmatch(path) is not None)


async def _images_in(sftp: SftpSession, registry: str, folder: str) -> list[FoundImage]:
    """Return the whole images in a folder of a registry."""
    names = set(await files.names_in(sftp, f"{registry}/{folder}", MOST_IMAGES))
    found: list[FoundImage] = []
    for name in sorted(names):
        path = f"zstore://{folder}/{name}"
        if f"{name}.{METADATA}" in names and INSTALL_PATH.fullmatch(path):
            file = f"{registry}/{folder}/{name}"
            text = await sftp.read_file(f"{file}.{METADATA}", LONGEST_METADATA)
            found.append(FoundImage(path, await sftp.size(file), _metadata(text)))
    return found


def _metadata(text: bytes) -> Mapping[str, object]:
    """Return what a file of metadata says; nothing if it is no JSON object."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


class Bits:
    """Writes and removes the files of images, over the connections of the prober. Raises BitsFailed."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober

    async def begin(self, place: Place) -> None:
        """Make an empty file, and the folder that it is in."""

        async def make(sftp: SftpSession) -> None:
            await files.make_folder(sftp, place.folder)
            await sftp.write_file(place.file, b"")

        await self._change(place.target, make)

    async def grow(self, place: Place, size: int) -> None:
        """Give the file a length of `size` bytes, without writing them."""
        await self._change(place.target, lambda sftp: sftp.resize(place.file, size))

    async def finish(self, place: Place, metadata: Mapping[str, object]) -> None:
        """Write the metadata: the image is whole. An export has none."""
        if not place.exported:
            await self._change(place.target, lambda sftp: sftp.write_file(place.metadata, orjson.dumps(metadata)))

    async def check(self, place: Place, size: int) -> None:
        """Look whether the file has at least `size` bytes. Raise BitsFailed if it has not, or is missing."""
        found = await self._change(place.target, lambda sftp: sftp.size(place.file))
        if found < size:
            raise BitsFailed(f"{place.file}: {found} of {size} bytes are there")

    async def images(self, target: Target) -> list[FoundImage]:
        """Return the images in the registry of a storage that have their metadata, by name; MOST_IMAGES at most."""
        registry = f"{target.url.rstrip('/')}/{REGISTRY}"

        async def look(sftp: SftpSession) -> list[FoundImage]:
            found: list[FoundImage] = []
            folders = await files.names_in(sftp, registry, MOST_IMAGES)
            for some in in_pieces(folders, AT_ONCE):
                looks = (_images_in(sftp, registry, folder) for folder in some)
                found += [image for images in await together(*looks) for image in images]
            return found[:MOST_IMAGES]

        return await self._change(target, look)

    async def remove(self, place: Place) -> int:
        """Remove the files of an image and their folder, or an export; return how many bytes they had.

        What is missing is no error.
        """
        names = (place.name,) if place.exported else (f"{place.name}.{METADATA}", place.name)

        async def remove(sftp: SftpSession) -> int:
            size = await files.remove_files(sftp, place.folder, names)
            if not place.exported:
                await files.remove_folder(sftp, place.folder)
            return size

        return await self._change(place.target, remove)

    async def space(self, target: Target) -> Capacity:
        """Return the capacity of a storage's host, by the ordinary probe."""
        found = await self._prober.probe(target)
        if isinstance(found, ProbeFailure):
            raise BitsFailed(f"{found.reason}: {found.message}")
        return found

    async def _change(self, target: Target, change: Callable[[SftpSession], Awaitable[T]]) -> T:
        found = await self._prober.change_files(target, change)
        if isinstance(found, ProbeFailure):
            raise BitsFailed(f"{found.reason}: {found.message}")
        if isinstance(found, FileRefused):
            raise BitsFailed(await self._explain(target, found))
        return found

    async def _explain(self, target: Target, refused: FileRefused) -> str:
        """Return why a host refused: SFTP says no more than `Failure` where a disk is full or read-only."""
        found = await self._prober.probe(target)
        if isinstance(found, Capacity) and found.read_only:
            return f"{target.url}: Read-only file system"
        if isinstance(found, Capacity) and refused.message == "Failure":
            return f"{target.url}: No space left on device"
        return f"{target.url}: {refused.message}"
