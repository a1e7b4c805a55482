package io.github.imagestoresim.lab.junit;

/** How long a lab lives. */
public enum Scope {
    /** One lab for all tests of a class, reset before each. */
    CLASS,
    /** A lab for each test. */
    METHOD
}
