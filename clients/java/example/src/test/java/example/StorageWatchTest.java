package example;

import static org.junit.jupiter.api.Assertions.assertEquals;

import example.zstack.ZSClient;
import example.zstack.ZSConfig;
import io.github.imagestoresim.lab.Lab;
import io.github.imagestoresim.lab.NodeFault;
import io.github.imagestoresim.lab.TestClock;
import io.github.imagestoresim.lab.Times;
import io.github.imagestoresim.lab.junit.ImagestoreLab;
import io.github.imagestoresim.lab.okhttp.CarriedTimeInterceptor;
import java.net.URI;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@ImagestoreLab(hosts = 1, seed = 1, clock = "paused", pingInterval = 300)
class StorageWatchTest {
    private static final Duration WITHIN = Duration.ofMinutes(15);

    private TestClock clock;
    private StorageWatch watch;

    @BeforeEach
    void connect(Lab lab) {
        URI address = URI.create(lab.url());
        ZSClient.configure(new ZSConfig.Builder()
                .setHostname(address.getHost())
                .setPort(address.getPort())
                .setContextPath("zstack")
                .build());
        clock = TestClock.at(lab.clock().now());
        watch = new StorageWatch(clock, lab.credentials().accountName(), lab.credentials().sha512());
    }

    @Test
    void anOutageIsSeenAndItsEnd(Lab lab) {
        lab.host("imagestore-1").break_("blackhole");
        lab.waitForStatus("imagestore-1", "Disconnected", WITHIN);
        assertEquals("Disconnected", watch.status("imagestore-1"));
        lab.heal();
        lab.waitForStatus("imagestore-1", "Connected", WITHIN);
        assertEquals("Connected", watch.status("imagestore-1"));
    }

    @Test
    void aLostAnswerAddsNoSecondStorage(Lab lab) {
        NodeFault lost = lab.breakNode("answer_lost", Map.of(), Map.of("api", "AddImageStore*", "first", 1));
        watch.add("gold");
        assertEquals(1, lost.hits());
        lab.waitForStatus("gold", "Connected", WITHIN);
        lab.assertRequested(Map.of("api", "AddImageStore*", "status", "2xx"), Times.never());
    }

    @Test
    void eightHoursOfPollingTakeNoTime(Lab lab) {
        try (var carrying = CarriedTimeInterceptor.into(ZSClient.class, lab.carryTime(clock))) {
            for (int poll = 0; poll < 32; poll++) {
                clock.advance(Duration.ofMinutes(15));
                assertEquals("Connected", watch.status("imagestore-1"));
            }
        }
        assertEquals(clock.instant(), lab.clock().now());
        lab.assertRequested(Map.of("path", "*/login"), Times.exactly(8));
    }
}
