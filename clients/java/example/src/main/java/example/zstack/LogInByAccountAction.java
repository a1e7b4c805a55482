package example.zstack;

/** Begin a session. */
public final class LogInByAccountAction extends AbstractAction {
    public String accountName;
    public String password;

    public static final class SessionInventory {
        public String uuid;
    }

    public static final class LogInResult {
        public SessionInventory inventory;
    }

    public static final class Result extends AbstractResult<LogInResult, Result> {}

    public Result call() {
        return ZSClient.call(this, new Result(), LogInResult.class);
    }

    @Override
    RestInfo restInfo() {
        return new RestInfo("PUT", "/accounts/login", "logInByAccount");
    }
}
