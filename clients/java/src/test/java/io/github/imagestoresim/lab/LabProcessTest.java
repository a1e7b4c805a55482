package io.github.imagestoresim.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagestoresim.lab.junit.ImagestoreLab;
import io.github.imagestoresim.lab.junit.Scope;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LabProcessTest {
    private static final long PATIENCE = TimeUnit.SECONDS.toNanos(20);

    @ParameterizedTest
    @ValueSource(strings = {"killed", "ended"})
    void aTestProcessLeavesNoLabBehind(String how) throws Exception {
        String address = program(Map.of(), how);
        assertTrue(address.startsWith("http:"), address);
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
            assertEquals(lab.url(), program(Map.of("IMAGESTORE_LAB_URL", lab.url()), "ended"));
            assertTrue(answers(URI.create(lab.url())));
        }
    }

    @Test
    void aCommandThatIsNotThereSaysHowToInstallIt() throws Exception {
        String output = program(Map.of(), "ended", "/nowhere/imagestore-sim");
        assertTrue(output.contains("/nowhere/imagestore-sim is not there: install it"), output);
        assertFalse(output.contains("http:"), output);
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
