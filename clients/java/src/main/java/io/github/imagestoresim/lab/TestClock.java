package io.github.imagestoresim.lab;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.concurrent.atomic.AtomicReference;

/** A {@link Clock} that stands still until a test moves it. Hand it to the client, and to {@link Lab#carryTime}. */
public final class TestClock extends Clock {
    private final AtomicReference<Instant> now;
    private final ZoneId zone;

    private TestClock(AtomicReference<Instant> now, ZoneId zone) {
        this.now = now;
        this.zone = zone;
    }

    /**
     * Return a clock in UTC that begins at an instant.
     *
     * @param begin such as {@code lab.clock().now()}
     * @return a new clock
     */
    public static TestClock at(Instant begin) {
        return new TestClock(new AtomicReference<>(begin), ZoneOffset.UTC);
    }

    /**
     * Let time pass.
     *
     * @param duration how much
     */
    public void advance(Duration duration) {
        now.updateAndGet(instant -> instant.plus(duration));
    }

    @Override
    public Instant instant() {
        return now.get();
    }

    @Override
    public ZoneId getZone() {
        return zone;
    }

    /** Return this clock in another zone: moving one moves both. */
    @Override
    public Clock withZone(ZoneId other) {
        return new TestClock(now, other);
    }
}
