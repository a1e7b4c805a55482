package io.github.imagestoresim.lab;

import java.net.URI;
import java.net.http.HttpClient;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.Map;

/**
 * The time of a test, carried to the lab: each request has the header X-Lab-Time, and the lab's clock catches up with
 * it before it answers.
 */
public final class CarriedTime {
    private final Connection connection;
    private final Duration base;
    private final InstantSource clock;
    private final Instant begin;

    CarriedTime(Connection connection, Duration base, InstantSource clock) {
        this.connection = connection;
        this.base = base;
        this.clock = clock;
        this.begin = clock.instant();
    }

    /**
     * Return the headers for a request that is sent now, by any HTTP client.
     *
     * @return X-Lab-Time, and the lab's token if it has one
     */
    public Map<String, String> headers() {
        Map<String, String> headers = new HashMap<>(connection.tokenHeaders);
        headers.put("X-Lab-Time", Json.seconds(elapsed()));
        return headers;
    }

    /**
     * Tell whether requests to an address are for the lab, and so carry its time.
     *
     * @param address of a request
     * @return whether host and port are the lab's
     */
    public boolean isFor(URI address) {
        return URI.create(connection.url).getAuthority().equals(address.getAuthority());
    }

    /**
     * Return a client whose requests to the lab carry the time of the test.
     *
     * @param client that sends them
     * @return to use in its place
     */
    public HttpClient client(HttpClient client) {
        return new CarryingHttpClient(client, this);
    }

    /** Let the lab catch up now, for a client that cannot be given a header. */
    public void catchUp() {
        new LabClock(connection).catchUp(elapsed());
    }

    private Duration elapsed() {
        Duration passed = Duration.between(begin, clock.instant());
        return passed.isNegative() ? base : base.plus(passed);
    }
}
