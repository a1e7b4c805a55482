package example;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagestoresim.lab.Lab;
import io.github.imagestoresim.lab.LabOptions;
import io.github.imagestoresim.lab.testcontainers.LabContainer;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** The lab's image, by Testcontainers and without: {@code docker build -f docker/mn/Dockerfile -t imagestore-sim .} */
@EnabledIfEnvironmentVariable(named = "LAB_IMAGE", matches = ".+")
class ContainerTest {
    private static final String IMAGE = System.getenv("LAB_IMAGE");
    private static final LabOptions OPTIONS = LabOptions.options().hosts(2).clock("paused");

    @Test
    void aLabInAContainerIsBrokenAndHealedLikeAnyOther() {
        try (LabContainer container = new LabContainer(IMAGE).withOptions(OPTIONS)) {
            container.start();
            Lab lab = container.lab();
            Duration within = Duration.ofMinutes(2);
            lab.host("imagestore-2").stop();
            lab.waitForStatus("imagestore-2", "Disconnected", within);
            lab.host("imagestore-2").start();
            lab.waitForStatus("imagestore-2", "Connected", within);
        }
    }

    @Test
    void withoutTestcontainersAnOptionNamesTheImage() {
        try (Lab lab = Lab.start(LabOptions.options().hosts(1).token("a-token").image(IMAGE))) {
            assertTrue(lab.logIn().matches("[0-9a-f]{32}"));
        }
    }
}
