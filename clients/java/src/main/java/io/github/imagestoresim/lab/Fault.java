package io.github.imagestoresim.lab;

/** A fault of a host. */
public sealed class Fault permits NodeFault {
    final Connection connection;
    final String path;
    private final String id;

    Fault(Connection connection, String folder, Object id) {
        this.connection = connection;
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

    /** Heal this fault; others stay. */
    public void heal() {
        connection.lab("DELETE", path, null);
    }
}
