package io.github.imagestoresim.lab;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/** How a lab is started: {@code LabOptions.options().hosts(1).clock("paused")}. */
public final class LabOptions {
    private final List<String> arguments = new ArrayList<>();

    int hosts = -1;
    String clock = "real";
    String token;
    String image;
    String command = variable("IMAGESTORE_SIM_COMMAND");

    private LabOptions() {}

    /** Return a variable of the environment, null if it is not set, or empty. */
    static String variable(String name) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? null : value;
    }

    /**
     * Return the options of a lab as the command has them: three hosts, in real time.
     *
     * @return options to change
     */
    public static LabOptions options() {
        return new LabOptions();
    }

    /**
     * Start that many simulated hosts: imagestore-1, imagestore-2, and so on.
     *
     * @param count how many
     * @return these options
     */
    public LabOptions hosts(int count) {
        hosts = count;
        return option("--hosts", count);
    }

    /**
     * Let all that is random follow from a seed, uuids among it.
     *
     * @param seed not negative
     * @return these options
     */
    public LabOptions seed(long seed) {
        return option("--seed", seed);
    }

    /**
     * Choose the clock.
     *
     * @param name "real", "paused", or the ISO time at which it stands until the test moves it
     * @return these options
     */
    public LabOptions clock(String name) {
        clock = name;
        return option("--clock", name);
    }

    /**
     * Ping each storage that often, instead of each second in real time and else each minute, as ZStack does. Many
     * hours are faster with five minutes.
     *
     * @param interval at least a second
     * @return these options
     */
    public LabOptions pingInterval(Duration interval) {
        return option("--ping-interval", Json.seconds(interval));
    }

    /**
     * Answer as a version of ZStack does.
     *
     * @param version such as "4.8"
     * @return these options
     */
    public LabOptions zstack(String version) {
        return option("--zstack", version);
    }

    /**
     * Add options of the command {@code imagestore-sim lab}.
     *
     * @param more such as "--strict"
     * @return these options
     */
    public LabOptions arguments(String... more) {
        arguments.addAll(List.of(more));
        return this;
    }

    /**
     * Protect the lab's own API by a token, or name that of a lab that runs already.
     *
     * @param secret by default none, and for a lab that runs already IMAGESTORE_LAB_TOKEN
     * @return these options
     */
    public LabOptions token(String secret) {
        token = secret;
        return this;
    }

    /**
     * Start a container by Docker's command line, on a free port of 127.0.0.1, instead of the command.
     *
     * @param name of the image, such as "imagestore-sim"
     * @return these options
     */
    public LabOptions image(String name) {
        image = name;
        return this;
    }

    /**
     * Name the program to run instead of IMAGESTORE_SIM_COMMAND or {@code imagestore-sim} on the PATH.
     *
     * @param program a path, or a name on the PATH
     * @return these options
     */
    public LabOptions command(String program) {
        command = program;
        return this;
    }

    /**
     * Return these options as arguments of {@code imagestore-sim lab}.
     *
     * @return without the token, which is not for the list of processes
     */
    public Collection<String> asArguments() {
        List<String> all = new ArrayList<>(List.of("--ping-interval", isPaused() ? "60" : "1"));
        all.addAll(arguments);
        return all;
    }

    /**
     * Return the token of the lab.
     *
     * @return null without one
     */
    public String token() {
        return token;
    }

    boolean isPaused() {
        return !clock.equals("real");
    }

    private LabOptions option(String name, Object value) {
        return arguments(name, String.valueOf(value));
    }
}
