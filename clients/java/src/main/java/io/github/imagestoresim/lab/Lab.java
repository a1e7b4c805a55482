package io.github.imagestoresim.lab;

import io.github.imagestoresim.lab.LabClock.Reading;
import java.time.Duration;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A management node with simulated ImageStore hosts. A call that the lab refuses throws {@link LabException}. */
public final class Lab implements AutoCloseable {
    private static final Duration STEP = Duration.ofSeconds(5);
    private static final Duration WITHIN = Duration.ofMinutes(2);
    private static final List<String> STATUSES = List.of("Connecting", "Connected", "Disconnected");
    private static final long POLL = 5;
    private static final int NOT_FOUND = 404;

    private final Connection connection;
    private final boolean paused;
    private final Runnable end;

    private Lab(Connection connection, LabOptions options, Runnable end) {
        this.connection = connection;
        this.paused = options.isPaused();
        this.end = end;
    }

    /**
     * Start a lab as {@code imagestore-sim lab} does without options.
     *
     * @return a lab whose storages are connected
     */
    public static Lab start() {
        return start(LabOptions.options());
    }

    /**
     * Start a lab on a free port; or in a container, if the options name an image; or reset the one that
     * IMAGESTORE_LAB_URL names.
     *
     * @param options how it is
     * @return a lab whose storages are connected
     */
    public static Lab start(LabOptions options) {
        String running = LabOptions.variable("IMAGESTORE_LAB_URL");
        if (running != null) {
            return connect(running, options);
        }
        LabProcess process = options.image == null ? LabProcess.ofCommand(options) : LabProcess.ofImage(options);
        Connection connection = new Connection(process.url(), options.token, process::ending);
        return new Lab(connection, options, process::stop);
    }

    /**
     * Reset a lab that runs already. {@link #stop} leaves it running.
     *
     * @param url its address
     * @param options of which the token counts (by default IMAGESTORE_LAB_TOKEN), and a clock that is not real; the
     *     lab must have as many hosts
     * @return the lab
     */
    public static Lab connect(String url, LabOptions options) {
        String token = options.token == null ? LabOptions.variable("IMAGESTORE_LAB_TOKEN") : options.token;
        Lab lab = new Lab(new Connection(url, token, () -> null), options, () -> {});
        lab.reset();
        int hosts = lab.hosts().size();
        if (options.hosts >= 0 && options.hosts != hosts) {
            throw new LabException(
                    "the lab at " + url + " has " + hosts + " hosts, and the test wants " + options.hosts);
        }
        return lab;
    }

    /** Stop the lab, if it was started here. */
    public void stop() {
        end.run();
    }

    @Override
    public void close() {
        stop();
    }

    /**
     * Return where the node is.
     *
     * @return without a slash at the end, and without ZStack's context path
     */
    public String url() {
        return connection.url;
    }

    /**
     * Return what a client logs in with.
     *
     * @return those of the account admin
     */
    public Credentials credentials() {
        return new Credentials("admin", "password");
    }

    /**
     * Log in as clients do.
     *
     * @return the uuid of the session, for the header {@code Authorization: OAuth UUID}
     */
    public String logIn() {
        Credentials own = credentials();
        Map<String, String> account = Map.of("accountName", own.accountName(), "password", own.sha512());
        Map<String, Object> answer =
                connection.call("PUT", "/zstack/v1/accounts/login", Map.of("logInByAccount", account));
        return (String) Connection.object(answer.get("inventory")).get("uuid");
    }

    /**
     * Return all simulated hosts.
     *
     * @return in the order of the lab
     */
    public List<Host> hosts() {
        return Connection.objects(connection.lab("GET", "/hosts", null).get("hosts")).stream()
                .map(facts -> host((String) facts.get("name")))
                .toList();
    }

    /**
     * Return the host of that name; its calls throw if there is none.
     *
     * @param name such as imagestore-1
     * @return the host
     */
    public Host host(String name) {
        return new Host(connection, name);
    }

    /**
     * Let the management node fail all its clients.
     *
     * @param kind such as "not_ready"; docs/node-faults.md has all
     * @return the fault
     */
    public NodeFault breakNode(String kind) {
        return breakNode(kind, Map.of(), Map.of());
    }

    /**
     * Let the management node fail requests.
     *
     * @param kind such as "answer_lost"; docs/node-faults.md has all
     * @param parameters those of the fault, "count", and "for": how long it lasts, a duration
     * @param when which requests it meets, such as {@code Map.of("api", "AddImageStore*", "first", 1)}
     * @return the fault
     */
    public NodeFault breakNode(String kind, Map<String, ?> parameters, Map<String, ?> when) {
        Map<String, Object> body = new HashMap<>(parameters);
        body.put("kind", kind);
        body.put("when", when);
        return new NodeFault(connection, connection.lab("POST", "/node/faults", body).get("id"));
    }

    /** Heal all faults of hosts and of the management node. */
    public void heal() {
        connection.lab("POST", "/heal", Map.of());
    }

    /**
     * Return once a storage has a status, within two minutes of the lab's time.
     *
     * @param storage its name or uuid
     * @param status "Connected", "Connecting" or "Disconnected"
     */
    public void waitForStatus(String storage, String status) {
        waitForStatus(storage, status, WITHIN);
    }

    /**
     * Return once a storage has a status. A clock that runs is waited for; one that stands still is stepped by 5 s. A
     * storage that does not exist is waited for, too.
     *
     * @param storage its name or uuid
     * @param status "Connected", "Connecting" or "Disconnected"
     * @param within of the lab's time; throw LabException after that
     */
    public void waitForStatus(String storage, String status, Duration within) {
        if (!STATUSES.contains(status)) {
            throw new LabException("'" + status + "' is no status: expected " + String.join(", ", STATUSES));
        }
        Reading now = clock().read();
        Duration end = now.elapsed().plus(within);
        for (String seen = statusOf(storage); !seen.equals(status); seen = statusOf(storage)) {
            Duration left = end.minus(now.elapsed());
            if (left.toMillis() <= 0) {
                throw new LabException(
                        storage + " is " + seen + ", and was not " + status + " within " + Json.seconds(within) + " s");
            }
            now = letTimePass(now, left.compareTo(STEP) < 0 ? left : STEP);
        }
    }

    private Reading letTimePass(Reading now, Duration most) {
        if (now.paused()) {
            return clock().pass(most);
        }
        try {
            Thread.sleep(POLL);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new LabException("the wait was interrupted", 0, error);
        }
        return clock().read();
    }

    /** Ask the lab's API, which no fault of the node meets, and the journal of requests does not list. */
    private String statusOf(String storage) {
        try {
            return (String) connection.lab("GET", "/storages/" + Connection.segment(storage), null).get("status");
        } catch (LabException error) {
            if (error.status() == NOT_FOUND && error.getMessage().contains(": there is no backup storage ")) {
                return "not there";
            }
            throw error;
        }
    }

    /**
     * Return all records of the node.
     *
     * @return a bootstrap file (YAML)
     */
    public String snapshot() {
        return connection.text("GET", "/lab/v1/snapshot", null);
    }

    /**
     * Replace all records by those of a snapshot or a bootstrap file; return once each storage has been tried.
     *
     * @param text in YAML
     */
    public void load(String text) {
        connection.text("PUT", "/lab/v1/snapshot?wait=true", text);
    }

    /** Make everything what it was after the start. Sessions end; time does not go back. */
    public void reset() {
        connection.lab("POST", "/reset?wait=true", null);
        if (paused) {
            clock().pause();
        }
    }

    /**
     * Return the requests to ZStack's API.
     *
     * @return the oldest first
     */
    public List<RecordedRequest> requests() {
        return requests(Map.of());
    }

    /**
     * Return the requests to ZStack's API that match.
     *
     * @param matcher such as {@code Map.of("api", "AddImageStore*", "status", "2xx")}; docs/requests.md has all
     * @return the oldest first
     */
    public List<RecordedRequest> requests(Map<String, ?> matcher) {
        Map<String, Object> answer = connection.lab("POST", "/requests/find", matcher);
        return Connection.objects(answer.get("requests")).stream()
                .map(RecordedRequest::of)
                .toList();
    }

    /**
     * Throw an AssertionError, which shows the requests that come closest, unless requests came as often as expected.
     *
     * @param matcher which requests
     * @param expected how often
     */
    public void assertRequested(Map<String, ?> matcher, Times expected) {
        Map<String, Object> found = connection.lab("POST", "/requests/count", matcher);
        int count = RecordedRequest.count(found, "count");
        int unknown = RecordedRequest.count(found, "undecided") + RecordedRequest.count(found, "dropped");
        if (!expected.fits(count)) {
            throw new AssertionError(expected + " expected, " + count + " came\n" + closest(matcher));
        }
        if (expected.hasLimit() && unknown > 0) {
            throw new AssertionError("cannot know whether " + expected + " came: the journal no longer has " + unknown
                    + " requests in full");
        }
    }

    private Object closest(Map<String, ?> matcher) {
        return connection.lab("POST", "/requests/near-misses", Map.of("expected", matcher)).get("text");
    }

    /**
     * Return the clock of the lab.
     *
     * @return to step, set and pause
     */
    public LabClock clock() {
        return new LabClock(connection);
    }

    /**
     * Pause the lab's clock, and let it follow the clock of the test from now on. After a reset, carry it again.
     *
     * @param clock a {@link java.time.Clock}, such as a {@link TestClock}
     * @return what puts its time on requests
     */
    public CarriedTime carryTime(InstantSource clock) {
        return new CarriedTime(connection, clock().halt().elapsed(), clock);
    }
}
