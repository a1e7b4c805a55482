"""Fixed data: two zones, four storages that are never probed, three images."""

from __future__ import annotations

Z1, Z2 = "a1000000000000000000000000000001", "a2000000000000000000000000000002"
B1, B2, B3, B4 = (f"b{number}00000000000000000000000000000{number}" for number in (1, 2, 3, 4))
I1, I2, I3 = (f"c{number}00000000000000000000000000000{number}" for number in (1, 2, 3))
DATA = f"""\
zones:
  - {{uuid: {Z1}, name: Zone1, isDefault: true}}
  - {{uuid: {Z2}, name: Zone2, state: Disabled}}
backupStorages:
  - {{uuid: {B1}, name: store-1, hostname: h-1, url: /zs, totalCapacity: 1000, availableCapacity: 100, tracked: false,
     attachedZoneUuids: [{Z1}, {Z2}], systemTags: [allowbackup], userTags: [gold]}}
  - {{uuid: {B2}, name: store-2, hostname: h-2, url: /zs, totalCapacity: 2000, availableCapacity: 200, tracked: false,
     state: Disabled, attachedZoneUuids: [{Z1}]}}
  - {{uuid: {B3}, name: store-3, hostname: h-3, url: /zs, totalCapacity: 4000, availableCapacity: 400, tracked: false,
     status: Disconnected}}
  - {{uuid: {B4}, name: sftp, type: SftpBackupStorage, hostname: h-4, url: /sftp, totalCapacity: 8000, tracked: false,
     availableCapacity: 800, attachedZoneUuids: [{Z2}]}}
images:
  - {{uuid: {I1}, name: both, size: 70, actualSize: 50, format: qcow2, architecture: x86_64, backupStorageRefs: [
     {{backupStorageUuid: {B1}, installPath: "zstore://both/1"}},
     {{backupStorageUuid: {B2}, installPath: "zstore://both/1"}}]}}
  - {{uuid: {I2}, name: one, description: alone, actualSize: 101, systemTags: [qemuga], backupStorageRefs: [
     {{backupStorageUuid: {B1}, installPath: "zstore://one/1"}}]}}
  - {{uuid: {I3}, name: nowhere}}
"""
UNKNOWN = "0123456789ab4def8123456789abcdef"
