package io.github.imagestoresim.lab;

/** What the lab refused, or could not do. Its message is one sentence for people. */
public class LabException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** The HTTP status of the lab's answer, 0 without one. */
    private final int status;

    /**
     * Say what went wrong without an answer of the lab.
     *
     * @param message one sentence
     */
    public LabException(String message) {
        this(message, 0, null);
    }

    LabException(String message, int status, Throwable cause) {
        super(message, cause);
        this.status = status;
    }

    /**
     * Return the HTTP status of the lab's answer.
     *
     * @return 0 if there was no answer
     */
    public int status() {
        return status;
    }
}
