package io.github.imagestoresim.lab;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
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
    private static final int LINES_KEPT = 20;
    private static final String READY = "ready ";
    private static final String PORT = "8080";
    private static final String DOCKER = "docker";
    private static final String INSTALL_DOCKER = "it starts images";
    private static final String INSTALL = "install it (pip install, with the folder of its repository), name it by "
            + "IMAGESTORE_SIM_COMMAND, or a running lab by IMAGESTORE_LAB_URL";
    private static final String TOKEN = "IMAGESTORE_SIM_LAB_TOKEN";

    /**
     * Runs the lab until standard input ends, which it does however the test process dies; stops it within 5 seconds
     * then. It outlives the signals that a terminal sends to all of its processes.
     */
    private static final String SUPERVISE = """
            trap : INT TERM HUP
            exec 3<&0
            "$@" 3<&- </dev/null & lab=$!
            (read -r line <&3; kill -TERM $lab; sleep 5; kill -KILL $lab) >/dev/null 2>&1 & watch=$!
            while kill -0 $lab 2>/dev/null; do wait $lab; status=$?; done
            kill $watch 2>/dev/null
            exit $status""";

    final String url;
    private final Process process;

    private LabProcess(Process process, String url) {
        this.process = process;
        this.url = url;
    }

    /** Start the command. Throw LabException. */
    static LabProcess ofCommand(LabOptions options) {
        String command = options.command == null ? "imagestore-sim" : options.command;
        Process process = start(List.of(command, "lab", "--port", "0"), options);
        return new LabProcess(process, awaitReady(process, READY_WITHIN));
    }

    /** Start a container by Docker's command line, on a free port of 127.0.0.1. Throw LabException. */
    static LabProcess ofImage(LabOptions options) {
        String name = "imagestore-lab-" + UUID.randomUUID();
        Process process = start(
                List.of(
                        DOCKER, "run", "--rm", "--name", name, "--publish", "127.0.0.1::" + PORT, "--env", TOKEN,
                        options.image, "lab", "--host", "0.0.0.0", "--port", PORT),
                options);
        awaitReady(process, CONTAINER_READY_WITHIN);
        try {
            return new LabProcess(process, "http://" + published(name));
        } catch (LabException error) {
            stop(process);
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

    /** Start a program with its arguments, and then those of the options. */
    private static Process start(List<String> line, LabOptions options) {
        List<String> command = new ArrayList<>(List.of("/bin/sh", "-c", SUPERVISE, "sh", find(line.get(0))));
        command.addAll(line.subList(1, line.size()));
        command.addAll(options.asArguments());
        ProcessBuilder builder = new ProcessBuilder(command);
        if (options.token != null) {
            builder.environment().put(TOKEN, options.token);
        }
        try {
            return builder.start();
        } catch (IOException error) {
            throw new LabException("the lab cannot be started: " + error.getMessage(), 0, error);
        }
    }

    /** Stop it, and wait for its end. */
    void stop() {
        stop(process);
    }

    /** Wait for the line {@code ready URL}, and return that URL. */
    private static String awaitReady(Process process, long within) {
        Deque<String> errors = new ArrayDeque<>();
        CompletableFuture<String> ready = new CompletableFuture<>();
        Thread kept = follow(process.errorReader(), error -> keep(errors, error));
        follow(process.inputReader(), line -> {
            if (line.startsWith(READY)) {
                ready.complete(line.substring(READY.length()).strip());
            }
        });
        process.onExit().thenAccept(ended -> ready.completeExceptionally(
                new LabException("the lab ended with status " + ended.exitValue())));
        try {
            return ready.get(within, TimeUnit.SECONDS);
        } catch (ExecutionException error) {
            throw failed(process, kept, errors, error.getCause().getMessage());
        } catch (TimeoutException error) {
            throw failed(process, kept, errors, "the lab was not ready within " + within + " s");
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw failed(process, kept, errors, "the start of the lab was interrupted");
        }
    }

    /** Stop what was started, and return an exception with the end of its standard error. */
    private static LabException failed(Process process, Thread kept, Deque<String> errors, String what) {
        stop(process);
        try {
            kept.join(TimeUnit.SECONDS.toMillis(1));
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
        synchronized (errors) {
            return new LabException(what + "\n" + String.join("\n", errors));
        }
    }

    private static void stop(Process process) {
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

    private static void keep(Deque<String> errors, String line) {
        synchronized (errors) {
            errors.add(line);
            if (errors.size() > LINES_KEPT) {
                errors.remove();
            }
        }
    }

    /** Read all lines, so that the lab never waits for a reader. */
    private static Thread follow(BufferedReader reader, Consumer<String> use) {
        Thread thread = new Thread(() -> reader.lines().forEach(use), "imagestore-lab");
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
