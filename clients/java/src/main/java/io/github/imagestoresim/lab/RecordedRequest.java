package io.github.imagestoresim.lab;

import java.util.List;
import java.util.Map;

/**
 * A request that a client made, as the journal of the node has it. Secrets are masked.
 *
 * @param number of the request, from 1
 * @param method of HTTP
 * @param path with its query string
 * @param api the message of ZStack's API, empty if there is none
 * @param headers as they were sent
 * @param body its text, null without one
 * @param status of the answer, 0 if a fault let it have none
 * @param error the code in the answer, null without one
 * @param faults the ids of the faults that it met
 */
public record RecordedRequest(
        int number,
        String method,
        String path,
        String api,
        Map<String, Object> headers,
        String body,
        int status,
        String error,
        List<String> faults) {

    static RecordedRequest of(Map<String, Object> found) {
        return new RecordedRequest(
                count(found, "number"),
                (String) found.get("method"),
                (String) found.get("path"),
                (String) found.get("api"),
                Connection.object(found.get("headers")),
                (String) found.get("body"),
                count(found, "status"),
                (String) found.get("error"),
                ((List<?>) found.get("faults")).stream().map(String::valueOf).toList());
    }

    static int count(Map<String, Object> answer, String name) {
        return ((Number) answer.get(name)).intValue();
    }
}
