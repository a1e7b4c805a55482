package io.github.imagestoresim.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagestoresim.lab.junit.ImagestoreLab;
import io.github.imagestoresim.lab.junit.Scope;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LabProcessTest {
    private static final long PATIENCE = TimeUnit.SECONDS.toNanos(20);

    @ParameterizedTest
    @ValueSource(strings = {"killed", "ended"})
    void aTestProcessLeavesNoLabBehind(String how) throws Exception {
        String address = program(Map.of(), how);
        assertTrue(address.startsWith("http:"), address);
        address = address.replace(" 3 hosts", "");
        for (long end = System.nanoTime() + PATIENCE; answers(URI.create(address)); ) {
            assertTrue(System.nanoTime() < end, "the lab still answers");
            Thread.sleep(20);
        }
    }

    @ImagestoreLab(hosts = 1, scope = Scope.METHOD)
    @Nested
    class OfAnotherProcess {
        @Test
        void aVariableNamesALabThatRunsAlready(Lab lab) throws Exception {
            assertEquals(lab.url() + " 1 hosts", program(Map.of("IMAGESTORE_LAB_URL", lab.url()), "ended"));
            assertTrue(answers(URI.create(lab.url())));
        }
    }

    @Test
    void aCommandThatIsNotThereSaysHowToInstallIt() throws Exception {
        String output = program(Map.of(), "ended", "/nowhere/imagestore-sim");
        assertTrue(output.contains("/nowhere/imagestore-sim is not there: install it"), output);
        assertFalse(output.contains("http:"), output);
    }

    /** Return the path of a program of the shell. */
    private static String shellProgram(Path folder, String script) throws IOException {
        Path path = folder.resolve("a program");
        Files.writeString(path, "#!/bin/sh\n" + script + "\n");
        return Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxr-xr-x")).toString();
    }

    @Test
    void aCommandThatDoesNotStartSaysWhy(@TempDir Path folder) throws Exception {
        Map<String, String> scripts =
                Map.of("exit 3", "status 3", "kill -9 $$", "status 137 (signal 9)", "echo ready", "status 0");
        for (Map.Entry<String, String> one : scripts.entrySet()) {
            LabOptions options = LabOptions.options().command(shellProgram(folder, one.getKey()));
            String failure = assertThrows(LabException.class, () -> Lab.start(options)).getMessage();
            String silent = " before it was ready, and wrote nothing to its standard error";
            assertTrue(failure.endsWith("lab: the lab ended with " + one.getValue() + silent), failure);
        }
        LabOptions old = LabOptions.options().zstack("0.1");
        String failure = assertThrows(LabException.class, () -> Lab.start(old)).getMessage();
        assertTrue(failure.contains("lab: the lab ended with status 2 before it was ready\n"), failure);
    }

    @Test
    void aLabThatDiesIsToldWithItsStatusAndItsLastWords(@TempDir Path folder) throws Exception {
        Path pid = folder.resolve("pid");
        String named = LabOptions.options().command == null ? "imagestore-sim" : LabOptions.options().command;
        String script = "echo $$ >'" + pid + "'\nexec '" + named + "' \"$@\" --log-level info";
        LabOptions options = LabOptions.options().hosts(1).command(shellProgram(folder, script));
        try (Lab lab = Lab.start(options)) {
            new ProcessBuilder("kill", "-KILL", Files.readString(pid).strip()).start().waitFor();
            List<Executable> calls = List.of(
                    lab.host("imagestore-1")::stop,
                    lab::logIn,
                    () -> lab.waitForStatus("imagestore-1", "Disconnected"));
            for (Executable call : calls) {
                String failure = assertThrows(LabException.class, call).getMessage();
                assertTrue(failure.contains(": the lab has ended with status 137 (signal 9)\n"), failure);
                assertTrue(failure.contains("INFO"), failure);
            }
        }
    }

    @Test
    void aLabTakesItsOptionsFromTheTestAloneAndNoProxy() throws Exception {
        Map<String, String> variables = Map.of(
                "IMAGESTORE_SIM_HOSTS", "9",
                "IMAGESTORE_SIM_CLOCK", "paused",
                "IMAGESTORE_SIM_LAB_TOKEN", "secret",
                "IMAGESTORE_SIM_DATABASE", "/nowhere/kept.db",
                "IMAGESTORE_SIM_HOST", "::1",
                "IMAGESTORE_LAB_TOKEN", "of another",
                "TMPDIR", "/nowhere",
                "HTTP_PROXY", "http://127.0.0.1:9",
                "JAVA_TOOL_OPTIONS", "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=9 -Dhttp.nonProxyHosts=");
        String output = program(variables, "ended");
        assertTrue(output.endsWith(" 3 hosts"), output);
        assertTrue(output.contains("http://127.0.0.1:"), output);
    }

    /** Return what the program in another process prints, with what it reports. */
    private static String program(Map<String, String> variables, String... arguments) throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String classes = System.getProperty("java.class.path");
        List<String> command = new ArrayList<>(List.of(java, "-cp", classes, Program.class.getName()));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().putAll(variables);
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes()).strip();
        process.waitFor();
        return output;
    }

    private static boolean answers(URI address) {
        try (Socket socket = new Socket(address.getHost(), address.getPort())) {
            return socket.isConnected();
        } catch (IOException refused) {
            return false;
        }
    }
}
