package example.zstack;

import java.util.List;

/** Find ImageStores. */
public final class QueryImageStoreBackupStorageAction extends AbstractAction {
    public List<String> conditions = List.of();

    public static final class QueryImageStoreBackupStorageResult {
        public List<ImageStoreBackupStorageInventory> inventories;
    }

    public static final class Result extends AbstractResult<QueryImageStoreBackupStorageResult, Result> {}

    public Result call() {
        return ZSClient.call(this, new Result(), QueryImageStoreBackupStorageResult.class);
    }

    @Override
    RestInfo restInfo() {
        return new RestInfo("GET", "/backup-storage/image-store", "");
    }
}
