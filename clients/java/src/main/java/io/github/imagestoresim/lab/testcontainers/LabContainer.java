package io.github.imagestoresim.lab.testcontainers;

import io.github.imagestoresim.lab.Lab;
import io.github.imagestoresim.lab.LabOptions;
import java.util.ArrayList;
import java.util.List;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.utility.DockerImageName;

/** A container of the lab's image, for Testcontainers. */
public final class LabContainer extends GenericContainer<LabContainer> {
    private static final int PORT = 8080;

    private LabOptions options;

    /**
     * Prepare a container with three hosts, in real time.
     *
     * @param image such as "imagestore-sim"
     */
    public LabContainer(String image) {
        super(DockerImageName.parse(image));
        withExposedPorts(PORT);
        waitingFor(Wait.forLogMessage("ready .*\\n", 1));
        withOptions(LabOptions.options());
    }

    /**
     * Choose hosts, seed, clock and so on.
     *
     * @param chosen how the lab is
     * @return this container
     */
    public LabContainer withOptions(LabOptions chosen) {
        options = chosen;
        List<String> command = new ArrayList<>(List.of("lab", "--host", "0.0.0.0", "--port", String.valueOf(PORT)));
        command.addAll(chosen.asArguments());
        if (chosen.token() != null) {
            withEnv("IMAGESTORE_SIM_LAB_TOKEN", chosen.token());
        }
        return withCommand(command.toArray(String[]::new));
    }

    /**
     * Return where the node is, once the container has started.
     *
     * @return without a slash at the end
     */
    public String url() {
        return "http://" + getHost() + ":" + getMappedPort(PORT);
    }

    /**
     * Reset the lab in the container, and return it, once the container has started.
     *
     * @return a lab that ends with the container
     */
    public Lab lab() {
        return Lab.connect(url(), options);
    }
}
