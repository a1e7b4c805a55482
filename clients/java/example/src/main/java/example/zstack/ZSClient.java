package example.zstack;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import example.zstack.AbstractAction.AbstractResult;
import example.zstack.AbstractAction.RestInfo;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import okhttp3.HttpUrl;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

/** Sends actions, and follows their jobs to the end. */
public final class ZSClient {
    private static final Gson GSON = new Gson();
    private static final MediaType JSON = MediaType.get("application/json");
    private static final long POLLING_INTERVAL = 1;

    private static OkHttpClient http = new OkHttpClient();
    private static ZSConfig config;

    private ZSClient() {}

    public static void configure(ZSConfig chosen) {
        config = chosen;
    }

    static <V, R extends AbstractResult<V, R>> R call(AbstractAction action, R result, Class<V> type) {
        try {
            Response answer = follow(action, http.newCall(requestOf(action)).execute());
            try (answer) {
                String body = answer.body().string();
                if (answer.code() == 200) {
                    result.value = GSON.fromJson(body, type);
                } else {
                    result.error = errorOf(answer.code(), body);
                }
                return result;
            }
        } catch (IOException error) {
            throw new ApiException("no answer: " + error.getMessage(), error);
        }
    }

    private static Request requestOf(AbstractAction action) {
        RestInfo info = action.restInfo();
        HttpUrl.Builder url = new HttpUrl.Builder()
                .scheme("http")
                .host(config.hostname)
                .port(config.port)
                .addPathSegments(config.contextPath + "/v1" + info.path());
        RequestBody body = null;
        if (info.member().isEmpty()) {
            action.parameters().forEach((name, value) -> addTo(url, name, value));
        } else {
            body = RequestBody.create(GSON.toJson(Map.of(info.member(), action.parameters())), JSON);
        }
        return withSession(action, new Request.Builder().url(url.build()).method(info.method(), body))
                .header("X-Job-UUID", UUID.randomUUID().toString().replace("-", ""))
                .build();
    }

    private static void addTo(HttpUrl.Builder url, String name, Object value) {
        if (value instanceof List<?> conditions) {
            conditions.forEach(condition -> url.addQueryParameter("q", String.valueOf(condition)));
        } else {
            url.addQueryParameter(name, String.valueOf(value));
        }
    }

    private static Request.Builder withSession(AbstractAction action, Request.Builder request) {
        return action.sessionId == null ? request : request.header("Authorization", "OAuth " + action.sessionId);
    }

    /** Poll the job that an answer names, until it has ended; return an answer without a job as it is. */
    private static Response follow(AbstractAction action, Response first) throws IOException {
        if (first.code() != 202) {
            return first;
        }
        String location;
        try (first) {
            location = GSON.fromJson(first.body().string(), JsonObject.class).get("location").getAsString();
        }
        Request poll = withSession(action, new Request.Builder().url(location)).build();
        Response answer = http.newCall(poll).execute();
        while (answer.code() == 202) {
            answer.close();
            sleep();
            answer = http.newCall(poll).execute();
        }
        return answer;
    }

    private static void sleep() throws IOException {
        try {
            TimeUnit.SECONDS.sleep(POLLING_INTERVAL);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", error);
        }
    }

    private static ErrorCode errorOf(int status, String body) {
        if (status == 503) {
            return GSON.fromJson(GSON.fromJson(body, JsonObject.class).get("error"), ErrorCode.class);
        }
        ErrorCode error = new ErrorCode();
        error.code = "sdk.1000";
        error.description = "HTTP " + status;
        error.details = body;
        return error;
    }
}
