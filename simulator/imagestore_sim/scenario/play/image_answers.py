"""Evaluates conditions about images: their records, and their files on the hosts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from imagestore_sim.images.bits import bits_path, file_below, install_path
from imagestore_sim.scenario.format.expectations import Condition
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.scenario.play.observed_state import Evaluation, Inventory
from imagestore_sim.scenario.play.world import World
from imagestore_sim.units import size_text

SIZES = ("size", "actualSize", "onDisk")


async def evaluate_images(condition: Condition, world: World) -> Evaluation:
    """Evaluate a condition about images. Raise what `world.request` raises."""
    answer = await world.request("GET", "/images")
    if answer.status != 200:
        return Evaluation(False, False, f"{answer.status} {answer.text[:200]}")
    records = {one["uuid"]: one for one in answer.body["inventories"]}
    storages = {world.storages[name] for name in matching(condition.storage or ("*",), world.storages)}
    met: dict[str, bool] = {}
    shown: dict[str, str] = {}
    for name in list(matching(condition.image or (), world.images)):  # another step may add one meanwhile
        uuid = world.images[name]
        record = _counted(records.get(uuid), storages)
        if condition.onDisk is not None:
            record["onDisk"] = await _bytes_on_disks(world, uuid, record, storages)
        met[name] = _meets(condition, record)
        shown[name] = _describe(condition, record)
    wrong = [name for name, is_met in met.items() if not is_met] or list(met)
    text = "; ".join(f"{name}: {shown[name]}" for name in wrong[:5])
    return Evaluation(bool(met) and all(met.values()), any(met.values()), text or "no such image was added")


def _counted(record: Mapping[str, Any] | None, storages: Collection[str]) -> Inventory:
    """Return an image's inventory with the number of its copies on these storages; only that if it has no record."""
    refs = [one for one in (record or {}).get("backupStorageRefs", []) if one["backupStorageUuid"] in storages]
    return {**(record or {}), "backupStorageRefs": refs, "copies": len(refs)}


async def _bytes_on_disks(world: World, uuid: str, record: Mapping[str, Any], storages: Collection[str]) -> int:
    """Return the bytes of an image's files on the hosts of these storages.

    Without a record, they are where an image that was added has them.
    """
    paths = {one["backupStorageUuid"]: one["installPath"] for one in record["backupStorageRefs"]}
    if "uuid" not in record:
        paths = dict.fromkeys(storages, install_path(uuid))
    found = 0
    for one in (await world.request("GET", "/backup-storage")).body.get("inventories", []):
        if one["uuid"] in paths and one.get("hostname") in world.hosts:
            path = file_below(str(one["url"]), bits_path(uuid, paths[one["uuid"]]))
            found += 0 if path is None else await world.file_size(one["hostname"], path)
    return found


def _meets(condition: Condition, record: Inventory) -> bool:
    there = "uuid" in record
    if condition.exists is not None and condition.exists != there:
        return False
    return all(name in record and one.matches(record[name], record) for name, one in condition.image_matchers())


def _describe(condition: Condition, record: Inventory) -> str:
    names = [name for name, _ in condition.image_matchers() if name in record]
    shown = [f"{name} {size_text(record[name]) if name in SIZES else record[name]}" for name in names]
    if "uuid" not in record:
        shown.insert(0, "no record")
    return ", ".join(shown) or "there"
