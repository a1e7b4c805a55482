package example.zstack;

/** Why a call has failed. */
public final class ErrorCode {
    public String code;
    public String description;
    public String details;
}
