package io.github.imagestoresim.lab;

/**
 * How often a request is expected.
 *
 * @param least how often at least
 * @param most how often at most
 */
public record Times(int least, int most) {

    /**
     * Expect that many requests.
     *
     * @param count exactly
     * @return an expectation
     */
    public static Times exactly(int count) {
        return new Times(count, count);
    }

    /**
     * Expect that many requests or more.
     *
     * @param count the fewest
     * @return an expectation
     */
    public static Times atLeast(int count) {
        return new Times(count, Integer.MAX_VALUE);
    }

    /**
     * Expect no request.
     *
     * @return an expectation
     */
    public static Times never() {
        return exactly(0);
    }

    boolean hasLimit() {
        return most < Integer.MAX_VALUE;
    }

    boolean fits(int count) {
        return count >= least && count <= most;
    }

    @Override
    public String toString() {
        return most == 0 ? "none" : (hasLimit() ? "exactly " : "at least ") + least;
    }
}
