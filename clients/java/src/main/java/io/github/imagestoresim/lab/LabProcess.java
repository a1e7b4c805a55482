package io.github.imagestoresim.lab;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A running {@code imagestore-sim lab}. It ends with the test process, however that ends. */
final class LabProcess {
    private static final long READY_WITHIN = 30;
    private static final long STOPPED_WITHIN = 8;
    private static final int LINES_KEPT = 20;
    private static final String READY = "ready ";

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

    /** Start the command, and wait for its line {@code ready URL}. Throw LabException. */
    static LabProcess start(LabOptions options) {
        String program = find(options.command == null ? "imagestore-sim" : options.command);
        List<String> line = new ArrayList<>(List.of("/bin/sh", "-c", SUPERVISE, "sh", program, "lab", "--port", "0"));
        line.addAll(options.asArguments());
        ProcessBuilder builder = new ProcessBuilder(line);
        if (options.token != null) {
            builder.environment().put("IMAGESTORE_SIM_LAB_TOKEN", options.token);
        }
        try {
            Process process = builder.start();
            return new LabProcess(process, awaitReady(process));
        } catch (IOException error) {
            throw new LabException("the lab cannot be started: " + error.getMessage(), 0, error);
        }
    }

    /** Stop it, and wait for its end. */
    void stop() {
        stop(process);
    }

    private static String awaitReady(Process process) {
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
            return ready.get(READY_WITHIN, TimeUnit.SECONDS);
        } catch (ExecutionException error) {
            throw failed(process, kept, errors, error.getCause().getMessage());
        } catch (TimeoutException error) {
            throw failed(process, kept, errors, "the lab was not ready within " + READY_WITHIN + " s");
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
                .orElseThrow(() -> new LabException(program + " is not there: install it (pip install, with the folder "
                        + "of its repository), name it by IMAGESTORE_SIM_COMMAND, or a running lab by "
                        + "IMAGESTORE_LAB_URL"));
    }
}
