BEGIN TRANSACTION;
CREATE TABLE "AccessKeyVO" (
	uuid VARCHAR(32) NOT NULL, 
	"accountUuid" VARCHAR(32) NOT NULL, 
	"userUuid" VARCHAR(32) NOT NULL, 
	description VARCHAR(2048), 
	"AccessKeyID" VARCHAR(128) NOT NULL, 
	"AccessKeySecret" TEXT NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid), 
	FOREIGN KEY("accountUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE, 
	UNIQUE ("AccessKeyID")
);
CREATE TABLE "AccountVO" (
	uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(2048), 
	password VARCHAR(255) NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid), 
	UNIQUE (name)
);
CREATE TABLE "BackupStorageCapacityHistoryVO" (
	id INTEGER NOT NULL, 
	"backupStorageUuid" VARCHAR(32) NOT NULL, 
	time BIGINT NOT NULL, 
	"totalCapacity" BIGINT NOT NULL, 
	"availableCapacity" BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY("backupStorageUuid") REFERENCES "BackupStorageVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "BackupStorageVO" (
	uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	url VARCHAR(2048) NOT NULL, 
	description VARCHAR(2048), 
	"totalCapacity" BIGINT NOT NULL, 
	"availableCapacity" BIGINT NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	tracked BOOLEAN NOT NULL, 
	"addedByJob" VARCHAR(32), 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, "ownerUuid" VARCHAR(32), "ownerEpoch" BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (uuid)
);
CREATE TABLE "BackupStorageZoneRefVO" (
	id INTEGER NOT NULL, 
	"backupStorageUuid" VARCHAR(32) NOT NULL, 
	"zoneUuid" VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY("backupStorageUuid") REFERENCES "BackupStorageVO" (uuid) ON DELETE CASCADE, 
	FOREIGN KEY("zoneUuid") REFERENCES "ZoneVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "ClusterVO" (
	id INTEGER NOT NULL, 
	epoch BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE "EventVO" (
	id INTEGER NOT NULL, 
	time BIGINT NOT NULL, 
	path VARCHAR(255) NOT NULL, 
	"resourceUuid" VARCHAR(32) NOT NULL, 
	content TEXT NOT NULL, 
	correlation VARCHAR(32), 
	PRIMARY KEY (id)
);
CREATE TABLE "GlobalConfigVO" (
	id INTEGER NOT NULL, 
	category VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(1024) NOT NULL, 
	"defaultValue" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (category, name)
);
CREATE TABLE "ImageBackupStorageRefVO" (
	id INTEGER NOT NULL, 
	"imageUuid" VARCHAR(32) NOT NULL, 
	"backupStorageUuid" VARCHAR(32) NOT NULL, 
	"installPath" VARCHAR(2048) NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	"exportMd5Sum" VARCHAR(255), 
	"exportUrl" VARCHAR(2048), 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, "addUuid" VARCHAR(32), 
	PRIMARY KEY (id), 
	FOREIGN KEY("backupStorageUuid") REFERENCES "BackupStorageVO" (uuid) ON DELETE CASCADE, 
	FOREIGN KEY("imageUuid") REFERENCES "ImageVO" (uuid) ON DELETE CASCADE, 
	UNIQUE ("imageUuid", "backupStorageUuid")
);
CREATE TABLE "ImageGarbageVO" (
	id INTEGER NOT NULL, 
	"imageUuid" VARCHAR(32) NOT NULL, 
	"backupStorageUuid" VARCHAR(32) NOT NULL, 
	"installPath" VARCHAR(2048) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY("backupStorageUuid") REFERENCES "BackupStorageVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "ImageStoreBackupStorageVO" (
	uuid VARCHAR(32) NOT NULL, 
	hostname VARCHAR(255) NOT NULL, 
	username VARCHAR(255) NOT NULL, 
	password TEXT NOT NULL, 
	"sshPort" INTEGER NOT NULL, 
	PRIMARY KEY (uuid), 
	FOREIGN KEY(uuid) REFERENCES "BackupStorageVO" (uuid) ON DELETE CASCADE, 
	UNIQUE (hostname)
);
CREATE TABLE "ImageVO" (
	uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(2048), 
	state VARCHAR(255) NOT NULL, 
	status VARCHAR(255) NOT NULL, 
	size BIGINT NOT NULL, 
	"actualSize" BIGINT NOT NULL, 
	"md5Sum" VARCHAR(255), 
	url VARCHAR(2048), 
	"mediaType" VARCHAR(32) NOT NULL, 
	"guestOsType" VARCHAR(255), 
	type VARCHAR(255) NOT NULL, 
	platform VARCHAR(255), 
	architecture VARCHAR(32), 
	format VARCHAR(255) NOT NULL, 
	system BOOLEAN NOT NULL, 
	virtio BOOLEAN NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, "accountUuid" VARCHAR(32) DEFAULT '36c27e8ff05c4780bf6d2fa65700f22e' NOT NULL, "addedByJob" VARCHAR(32), 
	PRIMARY KEY (uuid)
);
CREATE TABLE "InstallPathRecycleVO" (
	"trashId" INTEGER NOT NULL, 
	"resourceUuid" VARCHAR(32) NOT NULL, 
	"storageUuid" VARCHAR(32) NOT NULL, 
	"installPath" VARCHAR(2048) NOT NULL, 
	size BIGINT NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	PRIMARY KEY ("trashId"), 
	FOREIGN KEY("storageUuid") REFERENCES "BackupStorageVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "LongJobVO" (
	uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(2048), 
	"apiId" VARCHAR(32) NOT NULL, 
	"jobName" VARCHAR(255) NOT NULL, 
	"jobData" TEXT NOT NULL, 
	"jobResult" TEXT, 
	state VARCHAR(32) NOT NULL, 
	"targetResourceUuid" VARCHAR(32), 
	"managementNodeUuid" VARCHAR(32), 
	"executeTime" BIGINT, 
	"accountUuid" VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME, 
	PRIMARY KEY (uuid), 
	FOREIGN KEY("accountUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "ManagementNodeVO" (
	uuid VARCHAR(32) NOT NULL, 
	"hostName" VARCHAR(255) NOT NULL, 
	"joinDate" DATETIME NOT NULL, 
	"heartBeat" DATETIME NOT NULL, port INTEGER DEFAULT '0' NOT NULL, state VARCHAR(32) DEFAULT 'RUNNING' NOT NULL, epoch BIGINT DEFAULT '0' NOT NULL, "beatAt" BIGINT DEFAULT '0' NOT NULL, mode VARCHAR(16), 
	PRIMARY KEY (uuid)
);
CREATE TABLE "PolicyVO" (
	uuid VARCHAR(32) NOT NULL, 
	"accountUuid" VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	statements TEXT NOT NULL, 
	PRIMARY KEY (uuid), 
	FOREIGN KEY("accountUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "QuotaVO" (
	uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	"identityUuid" VARCHAR(32) NOT NULL, 
	"identityType" VARCHAR(255) NOT NULL, 
	value BIGINT NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid), 
	UNIQUE ("identityUuid", name), 
	FOREIGN KEY("identityUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "ResourceConfigVO" (
	uuid VARCHAR(32) NOT NULL, 
	"resourceUuid" VARCHAR(32) NOT NULL, 
	"resourceType" VARCHAR(255) NOT NULL, 
	"accountUuid" VARCHAR(32) NOT NULL, 
	category VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(1024) NOT NULL, 
	value TEXT NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid), 
	UNIQUE ("resourceUuid", category, name)
);
CREATE TABLE "RestAPIVO" (
	uuid VARCHAR(32) NOT NULL, 
	"apiMessageName" VARCHAR(255) NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	result TEXT, 
	"createDate" BIGINT NOT NULL, 
	"lastOpDate" BIGINT NOT NULL, "managementNodeUuid" VARCHAR(32), "givenTo" VARCHAR(32), "webHook" TEXT, lost BOOLEAN, 
	PRIMARY KEY (uuid)
);
CREATE TABLE "RoleVO" (
	uuid VARCHAR(32) NOT NULL, 
	"accountUuid" VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(2048), 
	identity VARCHAR(255), 
	type VARCHAR(32) NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	statements TEXT NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid), 
	FOREIGN KEY("accountUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "SessionVO" (
	uuid VARCHAR(32) NOT NULL, 
	"accountUuid" VARCHAR(32) NOT NULL, 
	"userUuid" VARCHAR(32) NOT NULL, 
	"expiredDate" BIGINT NOT NULL, 
	"createDate" BIGINT NOT NULL, 
	PRIMARY KEY (uuid), 
	FOREIGN KEY("accountUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "SftpBackupStorageVO" (
	uuid VARCHAR(32) NOT NULL, 
	hostname VARCHAR(255) NOT NULL, 
	username VARCHAR(255) NOT NULL, 
	password TEXT NOT NULL, 
	"sshPort" INTEGER NOT NULL, 
	PRIMARY KEY (uuid), 
	FOREIGN KEY(uuid) REFERENCES "BackupStorageVO" (uuid) ON DELETE CASCADE, 
	UNIQUE (hostname)
);
CREATE TABLE "SharedResourceVO" (
	id INTEGER NOT NULL, 
	"ownerAccountUuid" VARCHAR(32) NOT NULL, 
	"receiverAccountUuid" VARCHAR(32), 
	"toPublic" BOOLEAN NOT NULL, 
	"resourceType" VARCHAR(255) NOT NULL, 
	"resourceUuid" VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY("ownerAccountUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE, 
	FOREIGN KEY("receiverAccountUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE, 
	FOREIGN KEY("resourceUuid") REFERENCES "ImageVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "SharedStateVO" (
	name VARCHAR(32) NOT NULL, 
	changes BIGINT NOT NULL, 
	content TEXT, 
	PRIMARY KEY (name)
);
CREATE TABLE "SystemTagVO" (
	inherent BOOLEAN NOT NULL, 
	uuid VARCHAR(32) NOT NULL, 
	"resourceUuid" VARCHAR(32) NOT NULL, 
	"resourceType" VARCHAR(64) NOT NULL, 
	tag TEXT NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid)
);
CREATE TABLE "TagPatternVO" (
	uuid VARCHAR(32) NOT NULL, 
	"accountUuid" VARCHAR(32) NOT NULL, 
	name VARCHAR(128) NOT NULL, 
	value VARCHAR(128) NOT NULL, 
	description VARCHAR(2048), 
	color VARCHAR(32), 
	type VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid), 
	FOREIGN KEY("accountUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "UserGroupPolicyRefVO" (
	id INTEGER NOT NULL, 
	"groupUuid" VARCHAR(32) NOT NULL, 
	"policyUuid" VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("groupUuid", "policyUuid"), 
	FOREIGN KEY("groupUuid") REFERENCES "UserGroupVO" (uuid) ON DELETE CASCADE, 
	FOREIGN KEY("policyUuid") REFERENCES "PolicyVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "UserGroupUserRefVO" (
	id INTEGER NOT NULL, 
	"userUuid" VARCHAR(32) NOT NULL, 
	"groupUuid" VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("userUuid", "groupUuid"), 
	FOREIGN KEY("userUuid") REFERENCES "UserVO" (uuid) ON DELETE CASCADE, 
	FOREIGN KEY("groupUuid") REFERENCES "UserGroupVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "UserGroupVO" (
	uuid VARCHAR(32) NOT NULL, 
	"accountUuid" VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(2048), 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME, 
	PRIMARY KEY (uuid), 
	UNIQUE ("accountUuid", name), 
	FOREIGN KEY("accountUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "UserPolicyRefVO" (
	id INTEGER NOT NULL, 
	"userUuid" VARCHAR(32) NOT NULL, 
	"policyUuid" VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("userUuid", "policyUuid"), 
	FOREIGN KEY("userUuid") REFERENCES "UserVO" (uuid) ON DELETE CASCADE, 
	FOREIGN KEY("policyUuid") REFERENCES "PolicyVO" (uuid) ON DELETE CASCADE
);
CREATE TABLE "UserTagVO" (
	"tagPatternUuid" VARCHAR(32), 
	uuid VARCHAR(32) NOT NULL, 
	"resourceUuid" VARCHAR(32) NOT NULL, 
	"resourceType" VARCHAR(64) NOT NULL, 
	tag TEXT NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid)
);
CREATE TABLE "UserVO" (
	uuid VARCHAR(32) NOT NULL, 
	"accountUuid" VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(2048), 
	password VARCHAR(255) NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid), 
	FOREIGN KEY("accountUuid") REFERENCES "AccountVO" (uuid) ON DELETE CASCADE, 
	UNIQUE ("accountUuid", name)
);
CREATE TABLE "WebhookVO" (
	uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(2048), 
	url VARCHAR(2048) NOT NULL, 
	type VARCHAR(255) NOT NULL, 
	opaque TEXT, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid)
);
CREATE TABLE "ZoneVO" (
	uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(2048), 
	state VARCHAR(32) NOT NULL, 
	type VARCHAR(255) NOT NULL, 
	"isDefault" BOOLEAN NOT NULL, 
	"createDate" DATETIME NOT NULL, 
	"lastOpDate" DATETIME NOT NULL, 
	PRIMARY KEY (uuid)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0014');
CREATE INDEX "ix_BackupStorageVO_addedByJob" ON "BackupStorageVO" ("addedByJob");
CREATE INDEX "ix_BackupStorageVO_name" ON "BackupStorageVO" (name);
CREATE INDEX "ix_BackupStorageVO_most_available" ON "BackupStorageVO" ("availableCapacity" DESC, uuid, name);
CREATE INDEX "ix_BackupStorageVO_name_folded" ON "BackupStorageVO" (upper(rtrim(name, ' ')));
CREATE INDEX "ix_BackupStorageVO_name_not_ascii" ON "BackupStorageVO" (name, uuid) WHERE length(name) <> length(CAST(name AS BLOB));
CREATE INDEX ix_event_path ON "EventVO" (path, id);
CREATE INDEX "ix_EventVO_resourceUuid" ON "EventVO" ("resourceUuid");
CREATE INDEX "ix_EventVO_time" ON "EventVO" (time);
CREATE INDEX "ix_WebhookVO_type" ON "WebhookVO" (type);
CREATE INDEX "ix_ImageVO_name" ON "ImageVO" (name);
CREATE INDEX "ix_RestAPIVO_createDate" ON "RestAPIVO" ("createDate");
CREATE INDEX "ix_RestAPIVO_state" ON "RestAPIVO" (state);
CREATE INDEX "ix_SystemTagVO_resourceUuid" ON "SystemTagVO" ("resourceUuid");
CREATE INDEX "ix_UserTagVO_resourceUuid" ON "UserTagVO" ("resourceUuid");
CREATE INDEX "ix_UserTagVO_tagPatternUuid" ON "UserTagVO" ("tagPatternUuid");
CREATE INDEX "ix_ZoneVO_name" ON "ZoneVO" (name);
CREATE INDEX "ix_AccessKeyVO_accountUuid" ON "AccessKeyVO" ("accountUuid");
CREATE INDEX ix_capacity_history ON "BackupStorageCapacityHistoryVO" ("backupStorageUuid", time);
CREATE INDEX "ix_BackupStorageZoneRefVO_backupStorageUuid" ON "BackupStorageZoneRefVO" ("backupStorageUuid");
CREATE INDEX "ix_BackupStorageZoneRefVO_zoneUuid" ON "BackupStorageZoneRefVO" ("zoneUuid");
CREATE INDEX "ix_ImageBackupStorageRefVO_backupStorageUuid" ON "ImageBackupStorageRefVO" ("backupStorageUuid");
CREATE INDEX "ix_ImageStoreBackupStorageVO_hostname_folded" ON "ImageStoreBackupStorageVO" (upper(rtrim(hostname, ' ')));
CREATE INDEX "ix_ImageStoreBackupStorageVO_hostname_not_ascii" ON "ImageStoreBackupStorageVO" (hostname, uuid) WHERE length(hostname) <> length(CAST(hostname AS BLOB));
CREATE INDEX "ix_SessionVO_accountUuid" ON "SessionVO" ("accountUuid");
CREATE INDEX "ix_SessionVO_userUuid" ON "SessionVO" ("userUuid");
CREATE INDEX "ix_SftpBackupStorageVO_hostname_folded" ON "SftpBackupStorageVO" (upper(rtrim(hostname, ' ')));
CREATE INDEX "ix_SftpBackupStorageVO_hostname_not_ascii" ON "SftpBackupStorageVO" (hostname, uuid) WHERE length(hostname) <> length(CAST(hostname AS BLOB));
CREATE INDEX "ix_LongJobVO_accountUuid" ON "LongJobVO" ("accountUuid");
CREATE INDEX "ix_PolicyVO_accountUuid" ON "PolicyVO" ("accountUuid");
CREATE INDEX "ix_RoleVO_accountUuid" ON "RoleVO" ("accountUuid");
CREATE INDEX "ix_SharedResourceVO_ownerAccountUuid" ON "SharedResourceVO" ("ownerAccountUuid");
CREATE INDEX "ix_SharedResourceVO_receiverAccountUuid" ON "SharedResourceVO" ("receiverAccountUuid");
CREATE INDEX "ix_SharedResourceVO_resourceUuid" ON "SharedResourceVO" ("resourceUuid");
CREATE INDEX "ix_ImageVO_addedByJob" ON "ImageVO" ("addedByJob");
CREATE INDEX "ix_ImageGarbageVO_imageUuid" ON "ImageGarbageVO" ("imageUuid");
CREATE INDEX "ix_ImageGarbageVO_backupStorageUuid" ON "ImageGarbageVO" ("backupStorageUuid");
CREATE INDEX "ix_InstallPathRecycleVO_storageUuid" ON "InstallPathRecycleVO" ("storageUuid");
CREATE INDEX "ix_TagPatternVO_accountUuid" ON "TagPatternVO" ("accountUuid");
CREATE INDEX "ix_UserGroupUserRefVO_groupUuid" ON "UserGroupUserRefVO" ("groupUuid");
CREATE INDEX "ix_UserPolicyRefVO_policyUuid" ON "UserPolicyRefVO" ("policyUuid");
CREATE INDEX "ix_UserGroupPolicyRefVO_policyUuid" ON "UserGroupPolicyRefVO" ("policyUuid");
COMMIT;
