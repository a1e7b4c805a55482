package io.github.imagestoresim.lab;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A simulated ImageStore host. */
public final class Host {
    private final Connection connection;
    private final String name;

    Host(Connection connection, String name) {
        this.connection = connection;
        this.name = name;
    }

    /**
     * What a host is at the moment. Sizes are in bytes, null while the disk does not answer.
     *
     * @param name its name
     * @param listening whether it has not been stopped
     * @param size of its disk
     * @param used of its disk
     * @param faults the kinds of faults that it has
     */
    public record Facts(String name, boolean listening, Long size, Long used, List<String> faults) {}

    /**
     * Return the host name that backup storages are added with.
     *
     * @return such as imagestore-1
     */
    public String name() {
        return name;
    }

    /**
     * Return what it is at the moment.
     *
     * @return its disk, its faults
     */
    public Facts facts() {
        Map<String, Object> answer = call("GET", "", null);
        List<String> kinds = Connection.objects(answer.get("faults")).stream()
                .map(fault -> (String) fault.get("kind"))
                .toList();
        return new Facts(name, (Boolean) answer.get("listening"), bytes(answer, "size"), bytes(answer, "used"), kinds);
    }

    /**
     * Put a fault on the host until it is healed.
     *
     * @param kind such as "blackhole"; docs/faults.md has all
     * @return the fault
     */
    public Fault break_(String kind) {
        return break_(kind, Map.of());
    }

    /**
     * Put a fault on the host.
     *
     * @param kind such as "latency"; docs/faults.md has all
     * @param parameters those of the fault, and "for": how long it lasts, a duration
     * @return the fault
     */
    public Fault break_(String kind, Map<String, ?> parameters) {
        Map<String, Object> body = new HashMap<>(parameters);
        body.put("kind", kind);
        return new Fault(connection, path(), path() + "/faults", call("POST", "/faults", body).get("id"));
    }

    /** Heal all faults of the host. */
    public void heal() {
        call("POST", "/heal", Map.of());
    }

    /** Shut it down: nothing answers at its address. */
    public void stop() {
        call("POST", "/stop", null);
    }

    /** Start it again. */
    public void start() {
        call("POST", "/start", null);
    }

    /**
     * Change its disk until the lab is reset; what is null stays. It is no fault: {@link #heal} does not undo it, as it
     * does for the fault "resize".
     *
     * @param total such as "2 TiB"
     * @param used such as "1 TiB" or "55%"
     */
    public void resize(String total, String used) {
        Map<String, Object> change = new HashMap<>();
        change.put("size", total);
        change.put("used", used);
        change.values().removeIf(Objects::isNull);
        call("PATCH", "", change);
    }

    private static Long bytes(Map<String, Object> answer, String name) {
        return answer.get(name) instanceof Number size ? size.longValue() : null;
    }

    private Map<String, Object> call(String method, String rest, Object body) {
        return connection.lab(method, path() + rest, body);
    }

    private String path() {
        return "/hosts/" + Connection.segment(name);
    }
}
