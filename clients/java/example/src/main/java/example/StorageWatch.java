package example;

import example.zstack.AddImageStoreBackupStorageAction;
import example.zstack.ApiException;
import example.zstack.ImageStoreBackupStorageInventory;
import example.zstack.LogInByAccountAction;
import example.zstack.QueryImageStoreBackupStorageAction;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;

/** A client as you may have one: it adds ImageStores, says how they are, and logs in again before a session is old. */
public final class StorageWatch {
    private static final Duration SESSION = Duration.ofHours(1);

    private final Clock clock;
    private final String account;
    private final String hash;
    private Instant expires = Instant.MIN;
    private String session;

    /** Use that account, whose password is given by its SHA-512. */
    public StorageWatch(Clock clock, String account, String hash) {
        this.clock = clock;
        this.account = account;
        this.hash = hash;
    }

    /** Return the status of a storage, "absent" if there is none of that name. */
    public String status(String name) {
        QueryImageStoreBackupStorageAction query = new QueryImageStoreBackupStorageAction();
        query.conditions = List.of("name=" + name);
        query.sessionId = session();
        List<?> found = query.call().throwExceptionIfError().value.inventories;
        return found.isEmpty() ? "absent" : ((ImageStoreBackupStorageInventory) found.get(0)).status;
    }

    /** Add an ImageStore, and look whether it is there if the answer is lost. */
    public void add(String name) {
        AddImageStoreBackupStorageAction add = new AddImageStoreBackupStorageAction();
        add.name = name;
        add.hostname = name;
        add.username = "root";
        add.password = "password";
        add.url = "/cdpdata";
        add.sessionId = session();
        try {
            add.call().throwExceptionIfError();
        } catch (ApiException error) {
            if (status(name).equals("absent")) {
                throw error;
            }
        }
    }

    private String session() {
        if (!clock.instant().isBefore(expires)) {
            LogInByAccountAction logIn = new LogInByAccountAction();
            logIn.accountName = account;
            logIn.password = hash;
            session = logIn.call().throwExceptionIfError().value.inventory.uuid;
            expires = clock.instant().plus(SESSION);
        }
        return session;
    }
}
