package example.zstack;

/** An ImageStore, as queries answer it. */
public final class ImageStoreBackupStorageInventory {
    public String uuid;
    public String name;
    public String status;
    public long availableCapacity;
}
