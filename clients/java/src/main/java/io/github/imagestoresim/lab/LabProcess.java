package io.github.imagestoresim.lab;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A running {@code imagestore-sim lab}. It ends with the test process, however that ends. */
final class LabProcess {
    private static final long READY_WITHIN = 120;
    /** An engine may have to fetch the image. */
    private static final long CONTAINER_READY_WITHIN = 120;

    private static final long STOPPED_WITHIN = 8;
    /** After a call that failed, the end of the lab may show. */
    private static final long ENDED_WITHIN = 1;
    private static final int LINES_KEPT = 20;
    private static final String READY = "ready ";
    private static final String PORT = "8080";
    private static final String DOCKER = "docker";
    private static final String INSTALL_DOCKER = "it starts images";
    private static final String INSTALL = "install it (pip install, with the folder of its repository), name it by "
            + "IMAGESTORE_SIM_COMMAND, or a running lab by IMAGESTORE_LAB_URL";
    private static final String TOKEN = "IMAGESTORE_SIM_LAB_TOKEN";
    /** Variables of the command's options begin with it: the test chooses the options of its lab. */
    private static final String OPTIONS = "IMAGESTORE_SIM_";

    private static final String SILENT = ", and wrote nothing to its standard error";
    /** A shell adds it to the number of the signal that ended a program. */
    private static final int OF_SIGNAL = 128;

    private static final int SIGNALS = 64;

    /**
     * Runs the lab until standard input ends, which it does however the test process dies; stops it within 5 seconds
     * then. It ends as the lab does, and outlives the signals that a terminal sends to all of its processes.
     */
    private static final String SUPERVISE = """
            trap : INT TERM HUP
            exec 3<&0
            "$@" 3<&- </dev/null & lab=$!
            exec 2>/dev/null
            (trap : INT TERM HUP; read -r line <&3; kill -TERM $lab; sleep 5; kill -KILL $lab) >/dev/null 2>&1 & watch=$!
            wait $lab
            status=$?
            while kill -0 $lab 2>/dev/null; do wait $lab; status=$?; done
            kill -KILL $watch 2>/dev/null
            exit $status""";

    private final Process process;
    private final Thread kept;
    private final Deque<String> errors = new ArrayDeque<>();
    private final CompletableFuture<String> ready = new CompletableFuture<>();
    private String url;
    private volatile boolean stopped;

    private LabProcess(Process process) {
        this.process = process;
        this.kept = follow(process.errorReader(StandardCharsets.UTF_8), this::keep);
        follow(process.inputReader(StandardCharsets.UTF_8), line -> {
            if (line.startsWith(READY + "http")) {
                ready.complete(line.substring(READY.length()).strip());
            }
        });
        process.onExit().thenAccept(ended -> ready.completeExceptionally(
                new LabException("the lab ended with " + statusText(ended.exitValue()) + " before it was ready")));
    }

    String url() {
        return url;
    }

    /** Return how it has ended, with the end of its standard error; null if it has not. */
    String ending() {
        if (stopped) {
            return "the lab was stopped";
        }
        try {
            boolean ended = process.waitFor(ENDED_WITHIN, TimeUnit.SECONDS);
            return ended ? told("the lab has ended with " + statusText(process.exitValue())) : null;
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    /** Start the command. Throw LabException. */
    static LabProcess ofCommand(LabOptions options) {
        String command = options.command == null ? "imagestore-sim" : options.command;
        return start(List.of(command, "lab", "--port", "0"), options, READY_WITHIN);
    }

    /** Start a container by Docker's command line, on a free port of 127.0.0.1. Throw LabException. */
    static LabProcess ofImage(LabOptions options) {
        String name = "imagestore-lab-" + UUID.randomUUID();
        LabProcess started = start(
                List.of(
                        DOCKER, "run", "--rm", "--name", name, "--publish", "127.0.0.1::" + PORT, "--env", TOKEN,
                        options.image, "lab", "--host", "0.0.0.0", "--port", PORT),
                options,
                CONTAINER_READY_WITHIN);
        try {
            started.url = "http://" + published(name);
            return started;
        } catch (LabException error) {
            started.stop();
            throw error;
        }
    }

    /** Return the address at which a container's port is reached. */
    private static String published(String container) {
        try {
            Process process = new ProcessBuilder(DOCKER, "port", container, PORT + "/tcp").start();
            String answer = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return answer.lines()
                    .findFirst()
                    .orElseThrow(() -> new LabException("docker port " + container + ": no port is published"));
        } catch (IOException error) {
            throw new LabException("docker port " + container + ": " + error.getMessage(), 0, error);
        }
    }

    /** Start a program with its arguments, and then those of the options; return it when the lab is ready. */
    private static LabProcess start(List<String> line, LabOptions options, long within) {
        List<String> command = new ArrayList<>(List.of("/bin/sh", "-c", SUPERVISE, "sh", find(line.get(0))));
        command.addAll(line.subList(1, line.size()));
        command.addAll(options.asArguments());
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().keySet().removeIf(variable -> variable.startsWith(OPTIONS));
        if (options.token != null) {
            builder.environment().put(TOKEN, options.token);
        }
        LabProcess started;
        try {
            started = new LabProcess(builder.start());
        } catch (IOException error) {
            throw new LabException("the lab cannot be started: " + error.getMessage(), 0, error);
        }
        started.awaitReady(String.join(" ", line.subList(0, 2)), within);
        return started;
    }

    /** Wait for the line {@code ready URL}. Throw LabException, and leave nothing that runs. */
    private void awaitReady(String name, long within) {
        try {
            url = ready.get(within, TimeUnit.SECONDS);
        } catch (ExecutionException error) {
            throw failed(name, error.getCause().getMessage());
        } catch (TimeoutException error) {
            throw failed(name, "the lab was not ready within " + within + " s");
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw failed(name, "the start of the lab was interrupted");
        }
    }

    private LabException failed(String name, String what) {
        stop();
        return new LabException(name + ": " + told(what));
    }

    /** Return what happened, and what the lab wrote to its standard error at last. */
    private String told(String what) {
        try {
            kept.join(TimeUnit.SECONDS.toMillis(ENDED_WITHIN));
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
        synchronized (errors) {
            return errors.isEmpty() ? what + SILENT : what + "\n" + String.join("\n", errors);
        }
    }

    /** Return an exit status in words, such as "status 137 (signal 9)". */
    private static String statusText(int status) {
        boolean ofSignal = status > OF_SIGNAL && status <= OF_SIGNAL + SIGNALS;
        return "status " + status + (ofSignal ? " (signal " + (status - OF_SIGNAL) + ")" : "");
    }

    /** Stop it, and wait for its end. */
    void stop() {
        stopped = true;
        try {
            process.getOutputStream().close();
            if (!process.waitFor(STOPPED_WITHIN, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (IOException error) {
            throw new LabException("the lab was not stopped: " + error.getMessage(), 0, error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    private void keep(String line) {
        synchronized (errors) {
            errors.add(line);
            if (errors.size() > LINES_KEPT) {
                errors.remove();
            }
        }
    }

    /** Read all lines, so that the lab never waits for a reader. */
    private static Thread follow(BufferedReader reader, Consumer<String> use) {
        Thread thread = new Thread(
                () -> {
                    try {
                        reader.lines().forEach(use);
                    } catch (UncheckedIOException ended) {
                        // Its stream was closed with the process: there is nothing more to read.
                    }
                },
                "imagestore-lab");
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    /** Return the path of a program, which may be a name on the PATH. Throw LabException. */
    private static String find(String program) {
        Stream<File> places = program.contains("/")
                ? Stream.of(new File(program))
                : Stream.of(System.getenv().getOrDefault("PATH", "").split(Pattern.quote(File.pathSeparator)))
                        .map(folder -> new File(folder, program));
        return places.filter(File::canExecute)
                .map(File::getPath)
                .findFirst()
                .orElseThrow(() -> new LabException(
                        program + " is not there: " + (program.equals(DOCKER) ? INSTALL_DOCKER : INSTALL)));
    }
}
