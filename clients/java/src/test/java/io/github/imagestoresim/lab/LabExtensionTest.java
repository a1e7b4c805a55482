package io.github.imagestoresim.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import io.github.imagestoresim.lab.junit.ImagestoreLab;
import io.github.imagestoresim.lab.junit.LabExtension;
import io.github.imagestoresim.lab.junit.Scope;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Events;

/** Runs the classes below, which are not found by Surefire, as JUnit runs those of a user. */
class LabExtensionTest {
    static final Set<Lab> LABS = new HashSet<>();

    private static Events run(Class<?> type) {
        LABS.clear();
        return EngineTestKit.engine("junit-jupiter").selectors(selectClass(type)).execute().testEvents();
    }

    private static void assertThatLabsHaveEnded() {
        for (Lab lab : LABS) {
            assertThrows(LabException.class, lab::hosts);
        }
    }

    @Test
    void aClassHasOneLabWhichIsResetBeforeEachTest() {
        run(OneLab.class).assertStatistics(statistics -> statistics.started(3).succeeded(3));
        assertEquals(1, LABS.size());
        assertThatLabsHaveEnded();
    }

    @ImagestoreLab(hosts = 1, clock = "paused", zstack = "4.8", arguments = "--strict")
    static class OneLab {
        final Lab own;

        OneLab(Lab lab) {
            own = lab;
        }

        @BeforeAll
        static void begin(Lab lab) {
            lab.logIn();
        }

        @RepeatedTest(2)
        void seesNoRequestOfAnother(Lab lab) {
            LABS.add(lab);
            assertEquals(own, lab);
            assertEquals(List.of(), lab.requests());
            lab.logIn();
            assertEquals(1, lab.hosts().size());
        }

        @Nested
        class Inside {
            @Test
            void sharesIt(Lab lab) {
                LABS.add(lab);
                assertEquals(List.of(), lab.requests());
            }
        }
    }

    @Test
    void eachTestHasALabOfItsOwn() {
        run(LabForEach.class).assertStatistics(statistics -> statistics.started(2).succeeded(2));
        assertEquals(2, LABS.size());
        assertThatLabsHaveEnded();
    }

    @ImagestoreLab(hosts = 1, scope = Scope.METHOD)
    static class LabForEach {
        Lab before;

        @BeforeEach
        void begin(Lab lab) {
            before = lab;
        }

        @Test
        void hasOne(Lab lab) {
            assertEquals(before, lab);
            LABS.add(lab);
        }

        @Nested
        class Inside {
            @Test
            void hasAnother(Lab lab) {
                assertEquals(before, lab);
                LABS.add(lab);
            }
        }
    }

    @Test
    void aFieldOfATestHasALabForEach() {
        run(OfField.class).assertStatistics(statistics -> statistics.started(1).succeeded(1));
        assertEquals(1, LABS.size());
        assertThatLabsHaveEnded();
    }

    static class OfField {
        @RegisterExtension
        final LabExtension extension = new LabExtension(LabOptions.options().hosts(1));

        @Test
        void hasOne(Lab lab) {
            LABS.add(lab);
        }
    }

    @Test
    void whatCannotBeGivenSaysWhy() {
        assertEquals(
                "a lab of scope METHOD is for test methods, @BeforeEach and @AfterEach: " + TooEarly.class.getName() + "("
                        + Lab.class.getName() + ") has none yet",
                failure(TooEarly.class));
        assertTrue(failure(NoSuchVersion.class).contains("0.1"));
    }

    private static String failure(Class<?> type) {
        return EngineTestKit.engine("junit-jupiter").selectors(selectClass(type)).execute().allEvents().failed().stream()
                .map(event -> event.getRequiredPayload(org.junit.platform.engine.TestExecutionResult.class))
                .map(result -> result.getThrowable().orElseThrow().getMessage())
                .findFirst()
                .orElseThrow();
    }

    @ImagestoreLab(scope = Scope.METHOD)
    static class TooEarly {
        TooEarly(Lab lab) {
            assertNotEquals(null, lab);
        }

        @Test
        void isNotReached() {}
    }

    @ImagestoreLab(zstack = "0.1")
    static class NoSuchVersion {
        @Test
        void isNotReached() {}
    }
}
