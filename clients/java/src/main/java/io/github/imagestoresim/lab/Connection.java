package io.github.imagestoresim.lab;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** Calls /lab/v1 and ZStack's API. */
final class Connection {
    /** A step over a month of many hosts takes a while. */
    private static final Duration LONGEST_ANSWER = Duration.ofMinutes(2);

    private static final String JSON = "json";

    final String url;
    final Map<String, String> tokenHeaders;
    private final Supplier<String> ending;
    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .proxy(HttpClient.Builder.NO_PROXY)
            .build();

    /**
     * Call the node at that URL, with that token of the lab if it is not null. {@code ending} says how the lab has
     * ended, null if it has not.
     */
    Connection(String url, String token, Supplier<String> ending) {
        this.ending = ending;
        this.url = url.replaceAll("/+$", "");
        this.tokenHeaders = token == null ? Map.of() : Map.of("X-Lab-Token", token);
    }

    /** Call /lab/v1 with a body as JSON, or none if it is null; return the JSON object of the answer. */
    Map<String, Object> lab(String method, String path, Object body) {
        return call(method, "/lab/v1" + path, body);
    }

    Map<String, Object> call(String method, String path, Object body) {
        String answer = text(method, path, body == null ? null : Json.write(body));
        return answer.isEmpty() ? Map.of() : object(Json.read(answer));
    }

    /** Return the text of the answer. Throw LabException without one, and for a status of 400 and more. */
    String text(String method, String path, String body) {
        BodyPublisher sent = body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body);
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + path)).timeout(LONGEST_ANSWER);
        tokenHeaders.forEach(request::header);
        HttpResponse<String> response = send(request.method(method, sent).build());
        if (response.statusCode() >= 400) {
            String reason = method + " " + path + ": " + reason(response);
            throw new LabException(reason, response.statusCode(), null);
        }
        return response.body();
    }

    private HttpResponse<String> send(HttpRequest request) {
        try {
            return client.send(request, BodyHandlers.ofString());
        } catch (IOException error) {
            String ended = ending.get();
            String why = ended == null ? error.toString() : ended;
            throw new LabException(request.method() + " " + request.uri() + ": " + why, 0, error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new LabException(request.method() + " " + request.uri() + " was interrupted", 0, error);
        }
    }

    /** Return the sentence of an error: that of the lab, the code and the details of ZStack's, or the text itself. */
    private static String reason(HttpResponse<String> response) {
        String type = response.headers().firstValue("Content-Type").orElse("");
        if (!type.contains(JSON) || !(Json.read(response.body()) instanceof Map<?, ?> answer)) {
            return response.statusCode() + " " + response.body();
        }
        if (!(answer.get("error") instanceof Map<?, ?> error)) {
            return String.valueOf(answer.get("error"));
        }
        Object details = error.get("details") == null ? error.get("description") : error.get("details");
        return error.get("code") + ": " + details;
    }

    /** Return a name as a segment of a path. */
    static String segment(String name) {
        return URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20");
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> object(Object value) {
        return (Map<String, Object>) value;
    }

    static List<Map<String, Object>> objects(Object value) {
        return ((List<?>) value).stream().map(Connection::object).toList();
    }
}
