package io.github.imagestoresim.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagestoresim.lab.junit.LabExtension;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class LabTest {
    private static final String TOKEN = "a-token";
    private static final Duration MINUTES = Duration.ofMinutes(5);

    @RegisterExtension
    static final LabExtension LAB = new LabExtension(LabOptions.options()
            .hosts(2)
            .seed(7)
            .clock("paused")
            .zstack("5.2")
            .token(TOKEN)
            .pingInterval(Duration.ofSeconds(10)));

    @Test
    void hostsAreStoppedStartedAndHaveAnotherDisk(Lab lab) {
        assertEquals(List.of("imagestore-1", "imagestore-2"), lab.hosts().stream().map(Host::name).toList());
        Host host = lab.host("imagestore-2");
        host.stop();
        assertFalse(host.facts().listening());
        lab.waitForStatus(host.name(), "Disconnected", MINUTES);
        host.start();
        lab.waitForStatus(host.name(), "Connected", MINUTES);
        host.resize("1 TiB", null);
        host.resize(null, "50%");
        assertEquals(List.of(1L << 40, 1L << 39), List.of(host.facts().size(), host.facts().used()));
        host.break_("resize", Map.of("size", "4 TiB"));
        assertEquals(new Host.Facts(host.name(), true, 1L << 42, 1L << 39, List.of("resize")), host.facts());
        host.heal();
        assertEquals(1L << 40, host.facts().size());
    }

    @Test
    void aStatusIsWaitedForInTheTimeOfTheLab(Lab lab) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(lab.url() + "/lab/v1/storages/imagestore-1"))
                .header("X-Lab-Token", TOKEN)
                .build();
        String found = HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body();
        lab.waitForStatus((String) Connection.object(Json.read(found)).get("uuid"), "Connected", Duration.ZERO);
        Duration before = lab.clock().elapsed();
        assertEquals(
                "'Gone' is no status: expected Connecting, Connected, Disconnected", late(lab, "imagestore-1", "Gone"));
        assertEquals(
                "imagestore is not there, and was not Connected within 2 s", late(lab, "imagestore", "Connected"));
        assertEquals(
                "imagestore-1 is Connected, and was not Disconnected within 2 s",
                late(lab, "imagestore-1", "Disconnected"));
        assertEquals(before.plusSeconds(4), lab.clock().elapsed());
    }

    private static String late(Lab lab, String storage, String status) {
        return assertThrows(LabException.class, () -> lab.waitForStatus(storage, status, Duration.ofSeconds(2)))
                .getMessage();
    }

    @Test
    void faultsOfAHostEndOneByOneAndTogether(Lab lab) {
        Host host = lab.host("imagestore-1");
        Fault slow = host.break_("latency", Map.of("delay", Duration.ofMillis(1)));
        host.break_("slow_login");
        assertTrue(slow.isActive());
        slow.heal();
        slow.heal();
        assertFalse(slow.isActive());
        assertEquals(List.of("slow_login"), host.facts().faults());
        lab.heal();
        assertEquals(List.of(), host.facts().faults());
        host.break_("refuse", Map.of("for", Duration.ofMinutes(1)));
        host.heal();
        assertEquals(List.of(), host.facts().faults());
    }

    @Test
    void aFaultOfTheNodeCountsItsHitsAndHeals(Lab lab) {
        NodeFault fault = lab.breakNode("status", Map.of("code", 502), Map.of("path", "*/login"));
        assertEquals(502, assertThrows(LabException.class, lab::logIn).status());
        assertEquals(1, fault.hits());
        assertEquals(List.of(fault.id()), lab.requests().get(0).faults());
        assertTrue(fault.isActive());
        fault.heal();
        fault.heal();
        assertFalse(fault.isActive());
        assertTrue(lab.logIn().matches("[0-9a-f]{32}"));
        lab.breakNode("not_ready").heal();
    }

    @Test
    void recordsAreSavedAndLoaded(Lab lab) {
        String records = lab.snapshot();
        lab.load("zones: []");
        Throwable missing = assertThrows(
                LabException.class, () -> lab.waitForStatus("imagestore-1", "Connected", Duration.ofSeconds(2)));
        assertEquals("imagestore-1 is not there, and was not Connected within 2 s", missing.getMessage());
        lab.load(records);
        lab.waitForStatus("imagestore-1", "Connected", MINUTES);
    }

    @Test
    void anAssertionShowsTheRequestThatComesClosest(Lab lab) {
        lab.logIn();
        lab.assertRequested(Map.of("path", "*/login"), Times.exactly(1));
        lab.assertRequested(Map.of("path", "*/login"), Times.atLeast(1));
        lab.assertRequested(Map.of("method", "DELETE"), Times.never());
        Map<String, Object> matcher = Map.of("method", "POST", "path", "*/login");
        String failure = assertThrows(AssertionError.class, () -> lab.assertRequested(matcher, Times.atLeast(1)))
                .getMessage();
        assertTrue(failure.startsWith("at least 1 expected, 0 came"), failure);
        assertTrue(failure.contains("method: expected POST, got PUT"), failure);
        RecordedRequest found = lab.requests(Map.of("path", "*/login")).get(0);
        assertEquals(List.of(1, "PUT", 200), List.of(found.number(), found.method(), found.status()));
        assertTrue(found.body().contains("logInByAccount"), found.body());
        assertEquals("APILogInByAccountMsg", found.api());
    }

    @Test
    void theClockIsSteppedSetResumedAndPaused(Lab lab) {
        LabClock clock = lab.clock();
        Instant began = clock.now();
        Duration before = clock.elapsed();
        assertTrue(clock.step(Duration.ofMinutes(10)));
        assertEquals(before.plusMinutes(10), clock.elapsed());
        assertTrue(clock.set(began.plusSeconds(3600)));
        assertEquals(began.plusSeconds(3600), clock.now());
        clock.resume();
        assertFalse(clock.isPaused());
        clock.pause();
        assertTrue(clock.isPaused());
    }

    @Test
    void whatIsRefusedSaysWhy(Lab lab) {
        assertEquals(404, assertThrows(LabException.class, lab.host("imagestore-9")::stop).status());
        String refusal = assertThrows(LabException.class, () -> lab.host("imagestore-1").break_("no such"))
                .getMessage();
        assertTrue(refusal.contains("no such"), refusal);
        assertThrows(LabException.class, () -> lab.breakNode("status", Map.of("code", new Object()), Map.of()));
    }

    @Test
    void aRunningLabIsResetUsedAndLeft(Lab lab) {
        lab.logIn();
        LabOptions options = LabOptions.options().token(TOKEN).clock("paused");
        try (Lab same = Lab.connect(lab.url() + "/", options)) {
            assertEquals(lab.url(), same.url());
            assertEquals(List.of(), same.requests());
        }
        assertEquals(2, lab.hosts().size());
        String refusal = assertThrows(LabException.class, () -> Lab.connect(lab.url(), options.hosts(9)))
                .getMessage();
        assertTrue(refusal.endsWith("has 2 hosts, and the test wants 9"), refusal);
        assertEquals(401, assertThrows(LabException.class, () -> Lab.connect(lab.url(), LabOptions.options())).status());
    }

    @Test
    void aRealClockIsSpedUpAndWaitedFor() {
        try (Lab lab = Lab.start(LabOptions.options().hosts(1))) {
            lab.clock().speed(60);
            lab.host("imagestore-1").break_("refuse");
            lab.waitForStatus("imagestore-1", "Disconnected", Duration.ofMinutes(20));
            lab.stop();
            String refusal = assertThrows(LabException.class, lab::heal).getMessage();
            assertTrue(refusal.endsWith(": the lab was stopped"), refusal);
        }
    }

    @Test
    void manyLabsRunAtOnce() {
        LabOptions options = LabOptions.options().hosts(1).clock("paused");
        List<CompletableFuture<Void>> labs = IntStream.range(0, 8)
                .mapToObj(number -> CompletableFuture.runAsync(
                        () -> {
                            try (Lab lab = Lab.start(options)) {
                                lab.host("imagestore-1").break_("refuse");
                                lab.waitForStatus("imagestore-1", "Disconnected");
                            }
                        },
                        command -> new Thread(command).start()))
                .toList();
        labs.forEach(CompletableFuture::join);
    }
}
