package example.zstack;

/** Add an ImageStore: a job. */
public final class AddImageStoreBackupStorageAction extends AbstractAction {
    public String name;
    public String hostname;
    public String username;
    public String password;
    public String url;

    public static final class AddImageStoreBackupStorageResult {
        public ImageStoreBackupStorageInventory inventory;
    }

    public static final class Result extends AbstractResult<AddImageStoreBackupStorageResult, Result> {}

    public Result call() {
        return ZSClient.call(this, new Result(), AddImageStoreBackupStorageResult.class);
    }

    @Override
    RestInfo restInfo() {
        return new RestInfo("POST", "/backup-storage/image-store", "params");
    }
}
