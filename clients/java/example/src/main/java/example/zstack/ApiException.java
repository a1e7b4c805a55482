package example.zstack;

/** A call has failed, or has had no answer. */
public final class ApiException extends RuntimeException {
    private static final long serialVersionUID = 1;

    ApiException(String message, Throwable cause) {
        super(message, cause);
    }
}
