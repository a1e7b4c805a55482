package example.zstack;

import java.lang.reflect.Field;
import java.util.LinkedHashMap;
import java.util.Map;

/** A call of ZStack's API: its public fields are the parameters. */
public abstract class AbstractAction {
    public String sessionId;

    /** What is sent: the member of the body that holds the parameters is empty for a query. */
    record RestInfo(String method, String path, String member) {}

    abstract RestInfo restInfo();

    /** Return the parameters that are set, by their names. */
    Map<String, Object> parameters() {
        Map<String, Object> set = new LinkedHashMap<>();
        for (Field field : getClass().getFields()) {
            Object value = valueOf(field);
            if (value != null && !field.getName().equals("sessionId")) {
                set.put(field.getName(), value);
            }
        }
        return set;
    }

    private Object valueOf(Field field) {
        try {
            return field.get(this);
        } catch (IllegalAccessException error) {
            throw new ApiException(field + " cannot be read", error);
        }
    }

    /** What a call comes to: a value, or an error. */
    public abstract static class AbstractResult<V, R extends AbstractResult<V, R>> {
        public ErrorCode error;
        public V value;

        @SuppressWarnings("unchecked")
        public R throwExceptionIfError() {
            if (error != null) {
                throw new ApiException(error.code + ": " + error.description + ": " + error.details, null);
            }
            return (R) this;
        }
    }
}
