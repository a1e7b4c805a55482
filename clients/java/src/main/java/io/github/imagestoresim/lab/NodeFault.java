package io.github.imagestoresim.lab;

/** A fault of the management node: it loses answers, is slow, ends sessions. */
public final class NodeFault extends Fault {
    NodeFault(Connection connection, Object id) {
        super(connection, "/node/faults", "/node/faults", id);
    }

    /**
     * Return how many requests it has met, also after it was healed.
     *
     * @return a count
     */
    public int hits() {
        return ((Number) connection.lab("GET", path, null).get("hits")).intValue();
    }
}
