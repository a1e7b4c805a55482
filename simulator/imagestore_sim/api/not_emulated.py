"""The APIs of ZStack that touch backup storage and are not emulated: each answers SYS.1014 and names the manual's page.

One line an API, by package: its method, its class and its paths, from ZStack's public SDK. A GET is answered
synchronously, any other method by a job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from imagestore_sim.api.services import Services
from imagestore_sim.rest.errors import ApiError, ErrorCode
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Message, Reply, SyncMessage, declare

SOURCE = "ZStack's public Java SDK"
NOT_EMULATED: Mapping[str, str] = MappingProxyType(
    {
        "org.zstack.storage.ceph.backup": """
            POST APIAddCephBackupStorageMsg /backup-storage/ceph
            POST APIAddMonToCephBackupStorageMsg /backup-storage/ceph/{uuid}/mons
            DELETE APIRemoveMonFromCephBackupStorageMsg /backup-storage/ceph/{uuid}/mons
            PUT APIUpdateCephBackupStorageMonMsg /backup-storage/ceph/mons/{monUuid}/actions
        """,
        "org.zstack.aliyun.ebs.message": """
            POST APIAddAliyunEbsBackupStorageMsg /backup-storage/aliyun/ebs
            GET APIQueryAliyunEbsBackupStorageMsg /backup-storage/aliyun/ebs
            PUT APIUpdateAliyunEbsBackupStorageMsg /backup-storage/aliyun/ebs/{uuid}/actions
        """,
        "org.zstack.header.storage.addon.backup": """
            POST APIAddExternalBackupStorageMsg /backup-storage/addon
        """,
        "org.zstack.vmware": """
            GET APIQueryVCenterBackupStorageMsg /vcenters/backup-storage
        """,
        "org.zstack.header.image": """
            DELETE APIDeleteImageMsg /images/{uuid}
            PUT APIUpdateImageMsg /images/{uuid}/actions
            PUT APIExpungeImageMsg /images/{imageUuid}/actions
            PUT APIRecoverImageMsg /images/{imageUuid}/actions
            PUT APIChangeImageStateMsg /images/{uuid}/actions
            PUT APISyncImageSizeMsg /images/{uuid}/actions
            PUT APICalculateImageHashMsg /images/{uuid}/actions
            PUT APISetImageBootModeMsg /images/{uuid}/actions
            PUT APISetImageQgaMsg /images/{uuid}/actions
            PUT APISetImageSecurityLevelMsg /images/{uuid}/actions
            GET APIGetImageQgaMsg /images/{uuid}/qga
            GET APIGetUploadImageJobDetailsMsg /images/upload-job/details/{imageId}
            POST APICreateRootVolumeTemplateFromRootVolumeMsg /images/root-volume-templates/from/volumes/{rootVolumeUuid}
            POST APICreateRootVolumeTemplateFromVolumeSnapshotMsg /images/root-volume-templates/from/volume-snapshots/{snapshotUuid}
            POST APICreateDataVolumeTemplateFromVolumeMsg /images/data-volume-templates/from/volumes/{volumeUuid}
            POST APICreateDataVolumeTemplateFromVolumeSnapshotMsg /images/data-volume-templates/from/volume-snapshots/{snapshotUuid}
        """,
        "org.zstack.storage.backup.imagestore": """
            PUT APISyncImageMsg /backup-storage/image-store/{imageStoreUuid}/actions
        """,
        "org.zstack.imagereplicator": """
            POST APICreateImageReplicationGroupMsg /image-replication-groups
            GET APIQueryImageReplicationGroupMsg /image-replication-groups
            DELETE APIDeleteImageReplicationGroupMsg /image-replication-groups/{uuid}
            POST APIAddBackupStoragesToReplicationGroupMsg /image-replication-groups/{replicationGroupUuid}
        """,
        "org.zstack.header.aliyun.image": """
            POST APICreateEcsImageFromLocalImageMsg /hybrid/aliyun/image
            GET APIQueryEcsImageFromLocalMsg /hybrid/aliyun/image
        """,
        "org.zstack.header.buildapp": """
            POST APIAddBuildAppMsg /appcenter/buildapp/add
            POST APICreateBuildAppMsg /appcenter/buildapp
            GET APIQueryBuildAppMsg /appcenter/buildapp
        """,
        "org.zstack.ovf.api": """
            POST APICreateVmInstanceFromOvfMsg /ovf/create-vm-instance
            POST APIExportVmOvaPackageMsg /ovf/ova-packages
        """,
        "org.zstack.header.storage.cdp": """
            POST APICreateCdpPolicyMsg /cdp-backup-storage/policy
            GET APIQueryCdpPolicyMsg /cdp-backup-storage/policy
            DELETE APIDeleteCdpPolicyMsg /cdp-backup-storage/policy/{uuid}
            PUT APIUpdateCdpPolicyMsg /cdp-backup-storage/policy/{uuid}/actions
            POST APICreateCdpTaskMsg /cdp-backup-storage/task
            PUT APIUpdateCdpTaskMsg /cdp-backup-storage/task/{uuid}/actions
            POST APIMountVmInstanceRecoveryPointMsg /cdp-backup-storage/mount-recovery-point
            POST APIUnmountVmInstanceRecoveryPointMsg /cdp-backup-storage/unmount-recovery-point
            GET APIGetCdpBackupStorageRequirementMsg /cdp-backup-storage/{backupStorageUuid}/requirement
            PUT APIUpgradeBackupStorageCdpTasksMsg /cdp-task/upgrade/{backupStorageUuid}/actions
            GET APIQueryCdpTaskMsg /cdp-task
            DELETE APIDeleteCdpTaskMsg /cdp-task/{uuid}
            POST APIDeleteCdpTaskDataMsg /cdp-task/{uuid}/data
            POST APIEnableCdpTaskMsg /cdp-task/enable/{uuid}
            POST APIDisableCdpTaskMsg /cdp-task/disable/{uuid}
            PUT APIMergeDataOnBackupStorageMsg /cdp-task/mergedata/{backupStorageUuid}/actions
            PUT APIRevertVmFromCdpBackupMsg /cdp-backups/{vmInstanceUuid}/actions
            PUT APICreateVmFromCdpBackupMsg /cdp-backups/actions
        """,
        "org.zstack.header.storage.database.backup": """
            POST APICreateDatabaseBackupMsg /database-backups
            GET APIQueryDatabaseBackupMsg /database-backups /database-backups/{uuid}
            DELETE APIDeleteDatabaseBackupMsg /database-backups/{uuid}
            PUT APIRecoverDatabaseFromBackupMsg /database-backups/actions
            GET APIGetDatabaseBackupFromImageStoreMsg /database-backups/image-store
            PUT APISyncDatabaseBackupMsg /database-backups/imageStore/{imageStoreUuid}/actions
            PUT APISyncDatabaseBackupFromImageStoreBackupStorageMsg /database-backups/{uuid}/actions
            PUT APIExportDatabaseBackupFromBackupStorageMsg /database-backups/{databaseBackupUuid}/backup-storage/{backupStorageUuid}/actions
            DELETE APIDeleteExportedDatabaseBackupFromBackupStorageMsg /exported-database-backup/{databaseBackupUuid}/backup-storage/{backupStorageUuid}
        """,
        "org.zstack.header.storage.volume.backup": """
            POST APICreateVolumeBackupMsg /volumes/{volumeUuid}/volume-backups
            GET APIQueryVolumeBackupMsg /volume-backups /volume-backups/{uuid}
            DELETE APIDeleteVolumeBackupMsg /volume-backups/{uuid}
            PUT APIRecoverBackupFromImageStoreBackupStorageMsg /volume-backups/{uuid}/actions
            PUT APISyncBackupFromImageStoreBackupStorageMsg /volume-backups/{uuid}/actions
            PUT APIRevertVolumeFromVolumeBackupMsg /volume-backups/{uuid}/actions
            PUT APISyncVolumeBackupMsg /volume-backups/imageStore/{imageStoreUuid}/actions
            POST APICreateVmBackupMsg /volumes/{rootVolumeUuid}/vm-backups
            DELETE APIDeleteVmBackupMsg /vm-backups/{groupUuid}
            PUT APIRecoverVmBackupFromImageStoreBackupStorageMsg /vm-backups/{groupUuid}/actions
            PUT APISyncVmBackupFromImageStoreBackupStorageMsg /vm-backups/{groupUuid}/actions
            PUT APIRevertVmFromVmBackupMsg /vm-backups/{groupUuid}/actions
            PUT APISyncVmBackupMsg /vm-backups/imageStore/{imageStoreUuid}/actions
            POST APICreateVmFromVmBackupMsg /vm-instances/from/vm-backups/{groupUuid}
            POST APICreateVmFromVolumeBackupMsg /vm-instances/from/vm-backup/{backupUuid}
            POST APICreateDataVolumeFromVolumeBackupMsg /volumes/data-volume/from/volume-template/{backupUuid}
            POST APICreateDataVolumeTemplateFromVolumeBackupMsg /images/data-volume-templates/from/volume-template/{backupUuid}
            POST APICreateRootVolumeTemplateFromVolumeBackupMsg /images/root-volume-templates/from/volume-template/{backupUuid}
        """,
        "org.zstack.externalbackup.zbox": """
            POST APICreateZBoxBackupMsg /externalbackup/zbox
            GET APIQueryZBoxBackupMsg /externalbackup/zbox
            GET APIGetZBoxBackupDetailsMsg /externalbackup/zbox/{uuid}/details
        """,
        "org.zstack.header.vm": """
            GET APIGetInterdependentL3NetworksBackupStoragesMsg /backupStorage-l3networks/dependencies
        """,
        "org.zstack.header.longjob": """
            POST APISubmitLongJobMsg /longjobs
            DELETE APIDeleteLongJobMsg /longjobs/{uuid}
        """,
        "org.zstack.tag2": """
            POST APICreateTagMsg /tags
            GET APIQueryTagMsg /tags /tags/{uuid}
            PUT APIUpdateTagMsg /tags/{uuid}/actions
            POST APIAttachTagToResourcesMsg /tags/{tagUuid}/resources
            DELETE APIDetachTagFromResourcesMsg /tags/{tagUuid}/resources
        """,
        "org.zstack.resourceconfig": """
            GET APIGetResourceConfigsMsg /resource-configurations/{resourceUuid}/{category}
            GET APIGetResourceConfigMsg /resource-configurations/{resourceUuid}/{category}/{name}
            PUT APIUpdateResourceConfigMsg /resource-configurations/{category}/{name}/{resourceUuid}/actions
            POST APIUpdateResourceConfigsMsg /resource-configurations/{resourceUuid}/resource-configs/actions
            DELETE APIDeleteResourceConfigMsg /resource-configurations/{category}/{name}/{resourceUuid}
        """,
        "org.zstack.zwatch.api": """
            POST APIPutMetricDataMsg /zwatch/metrics
            DELETE APIDeleteMetricDataMsg /zwatch/metrics
        """,
    }
)
OPEN = frozenset(
    (
        "org.zstack.storage.ceph.backup",
        "org.zstack.header.storage.addon.backup",
        "org.zstack.header.image",
        "org.zstack.header.vm",
        "org.zstack.header.longjob",
        "org.zstack.resourceconfig",
    )
)
"""The packages that ZStack's open half has. An API of any other package belongs to the paid editions."""
PAID = frozenset(("APISetImageQgaMsg", "APIGetImageQgaMsg", "APISetImageSecurityLevelMsg"))
"""APIs of the paid editions in packages that the open half has as well."""
BACKUP_STORAGE = "org.zstack.header.storage.backup"
RESPONSES: Mapping[str, str] = MappingProxyType(
    {
        "APIAddCephBackupStorageMsg": f"{BACKUP_STORAGE}.APIAddBackupStorageEvent",
        "APIQueryCephBackupStorageMsg": f"{BACKUP_STORAGE}.APIQueryBackupStorageReply",
        "APIAddAliyunEbsBackupStorageMsg": f"{BACKUP_STORAGE}.APIAddBackupStorageEvent",
        "APIQueryAliyunEbsBackupStorageMsg": f"{BACKUP_STORAGE}.APIQueryBackupStorageReply",
        "APIUpdateAliyunEbsBackupStorageMsg": f"{BACKUP_STORAGE}.APIUpdateBackupStorageEvent",
        "APIAddExternalBackupStorageMsg": f"{BACKUP_STORAGE}.APIAddBackupStorageEvent",
        "APICreateZBoxBackupMsg": "APICreateExternalBackupEvent",
    }
)
"""The replies and events whose names do not follow from their message's."""
handlers = Handlers[Services]()


async def refuse(services: Services, message: Message, call: Call) -> Reply:
    """Raise ApiError SYS.1014."""
    details = f"not emulated: {type(message).__name__}, see docs/fidelity.md"
    raise ApiError(ErrorCode("SYS.1014", details))


def _messages() -> Iterator[type[Message]]:
    for package, lines in NOT_EMULATED.items():
        for line in lines.strip().splitlines():
            method, name, path, *others = line.split()
            base: type[Message] = SyncMessage if method == "GET" else AsyncMessage
            yield declare(
                base,
                f"{package}.{name}",
                {"__module__": __name__, "__doc__": "Not emulated."},
                method=method,
                path=path,
                optional_paths=tuple(others),
                response_class=RESPONSES.get(name, ""),
                paid=package not in OPEN or name in PAID,
                for_everyone=True,
                source=SOURCE,
            )


for _message in _messages():
    handlers.register(_message, refuse)
