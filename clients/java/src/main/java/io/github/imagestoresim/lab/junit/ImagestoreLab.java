package io.github.imagestoresim.lab.junit;

import io.github.imagestoresim.lab.Lab;
import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Gives the tests of a class a lab, as a parameter of type {@link Lab}.
 *
 * <p>What is not said here is as {@code imagestore-sim lab} has it.
 */
@Documented
@Inherited
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(LabExtension.class)
public @interface ImagestoreLab {
    /**
     * How long the lab lives.
     *
     * @return by default one for the class, reset before each test
     */
    Scope scope() default Scope.CLASS;

    /**
     * How many simulated hosts it has.
     *
     * @return -1 for the lab's own number, 3
     */
    int hosts() default -1;

    /**
     * All that is random follows from it.
     *
     * @return -1 for none
     */
    long seed() default -1;

    /**
     * Its clock: "real", "paused", or the ISO time at which it stands.
     *
     * @return empty for the lab's own, real
     */
    String clock() default "";

    /**
     * Seconds between two pings of a storage.
     *
     * @return -1 for one in real time, else 60
     */
    int pingInterval() default -1;

    /**
     * The version of ZStack to answer as.
     *
     * @return empty for the lab's own
     */
    String zstack() default "";

    /**
     * An image of which Docker's command line starts a container.
     *
     * @return empty to start the command
     */
    String image() default "";

    /**
     * Further options of {@code imagestore-sim lab}.
     *
     * @return such as "--strict"
     */
    String[] arguments() default {};
}
