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

    /** What the clock reads. */
    record Reading(Instant now, Duration elapsed, boolean paused, boolean settled) {
        static Reading of(Map<String, Object> answer) {
            Duration now = duration(answer, "time");
            boolean paused = (Boolean) answer.get("paused");
            boolean settled = (Boolean) answer.get("settled");
            return new Reading(Instant.EPOCH.plus(now), duration(answer, "elapsed"), paused, settled);
        }

        private static Duration duration(Map<String, Object> answer, String name) {
            return Duration.ofNanos((long) Math.rint((Double) answer.get(name) * 1e6) * 1_000);
        }
    }

    Reading read() {
        return Reading.of(connection.lab("GET", "/clock", null));
    }

    /**
     * Return the time of the lab.
     *
     * @return to the microsecond
     */
    public Instant now() {
        return read().now();
    }

    /**
     * Return how much of the lab's time has passed since it began.
     *
     * @return to the microsecond
     */
    public Duration elapsed() {
        return read().elapsed();
    }

    /**
     * Tell whether it stands still.
     *
     * @return whether only steps move it
     */
    public boolean isPaused() {
        return read().paused();
    }

    /** Let it stand still. */
    public void pause() {
        halt();
    }

    Reading halt() {
        return change("paused", true);
    }

    /** Let it run. */
    public void resume() {
        change("paused", false);
    }

    /**
     * Let time pass at once, with all that falls due in it.
     *
     * @param duration at most 31 days
     * @return whether nothing was under way any more at its end
     */
    public boolean step(Duration duration) {
        return pass(duration).settled();
    }

    Reading pass(Duration duration) {
        return Reading.of(connection.lab("POST", "/clock/step", Map.of("seconds", duration)));
    }

    /**
     * Let time pass until a later time.
     *
     * @param later at most 31 days later
     * @return whether nothing was under way any more at its end
     */
    public boolean set(Instant later) {
        return change("time", later).settled();
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

    private Reading change(String name, Object value) {
        return Reading.of(connection.lab("PUT", "/clock", Map.of(name, value)));
    }
}
