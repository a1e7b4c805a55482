package io.github.imagestoresim.lab;

import java.time.Duration;
import java.time.Instant;
import java.util.Map;

/** The clock of the lab. */
public final class LabClock {
    private final Connection connection;

    LabClock(Connection connection) {
        this.connection = connection;
    }

    /**
     * Return the time of the lab.
     *
     * @return to the microsecond
     */
    public Instant now() {
        return Instant.EPOCH.plus(duration(read(), "time"));
    }

    /**
     * Return how much of the lab's time has passed since it began.
     *
     * @return to the microsecond
     */
    public Duration elapsed() {
        return duration(read(), "elapsed");
    }

    /**
     * Tell whether it stands still.
     *
     * @return whether only steps move it
     */
    public boolean isPaused() {
        return (Boolean) read().get("paused");
    }

    /** Let it stand still. */
    public void pause() {
        change("paused", true);
    }

    /** Let it run. */
    public void resume() {
        change("paused", false);
    }

    /**
     * Let time pass at once, with all that falls due in it.
     *
     * @param duration at most 31 days
     */
    public void step(Duration duration) {
        connection.lab("POST", "/clock/step", Map.of("seconds", duration));
    }

    /**
     * Let time pass until a later time.
     *
     * @param later at most 31 days later
     */
    public void set(Instant later) {
        change("time", later);
    }

    /**
     * Let a clock that began as a real one run faster.
     *
     * @param factor of the machine's speed
     */
    public void speed(double factor) {
        change("speed", factor);
    }

    void catchUp(Duration elapsed) {
        change("elapsed", elapsed);
    }

    private void change(String name, Object value) {
        connection.lab("PUT", "/clock", Map.of(name, value));
    }

    private Map<String, Object> read() {
        return connection.lab("GET", "/clock", null);
    }

    private static Duration duration(Map<String, Object> reading, String name) {
        double microseconds = Math.rint((Double) reading.get(name) * 1e6);
        return Duration.ofNanos((long) microseconds * 1_000);
    }
}
