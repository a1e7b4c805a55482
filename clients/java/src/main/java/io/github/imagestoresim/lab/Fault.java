package io.github.imagestoresim.lab;

/** A fault of a host. */
public sealed class Fault permits NodeFault {
    private static final int NOT_FOUND = 404;

    final Connection connection;
    final String path;
    private final String all;
    private final String id;

    /** {@code all} is the path that lists it as long as it is active. */
    Fault(Connection connection, String all, String folder, Object id) {
        this.connection = connection;
        this.all = all;
        this.id = String.valueOf(id);
        this.path = folder + "/" + id;
    }

    /**
     * Return what the lab calls it, as a matcher of requests names it.
     *
     * @return its id
     */
    public String id() {
        return id;
    }

    /**
     * Tell whether it has not been healed.
     *
     * @return whether it is still there
     */
    public boolean isActive() {
        return Connection.objects(connection.lab("GET", all, null).get("faults")).stream()
                .anyMatch(fault -> id.equals(fault.get("id")));
    }

    /** Heal this fault, unless that has happened; others stay. */
    public void heal() {
        try {
            connection.lab("DELETE", path, null);
        } catch (LabException error) {
            if (error.status() != NOT_FOUND) {
                throw error;
            }
        }
    }
}
