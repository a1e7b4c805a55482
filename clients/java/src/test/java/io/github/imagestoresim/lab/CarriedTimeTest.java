package io.github.imagestoresim.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import io.github.imagestoresim.lab.junit.ImagestoreLab;
import io.github.imagestoresim.lab.okhttp.CarriedTimeInterceptor;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.time.ZoneId;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@ImagestoreLab(hosts = 1, seed = 1, clock = "paused", pingInterval = 60)
class CarriedTimeTest {
    private static final Duration EIGHT_HOURS = Duration.ofHours(8);

    private TestClock clock;
    private CarriedTime time;
    private Duration base;

    @BeforeEach
    void carry(Lab lab) {
        clock = TestClock.at(lab.clock().now());
        time = lab.carryTime(clock);
        base = lab.clock().elapsed();
    }

    @Test
    void theHttpClientOfTheJdkCarriesIt(Lab lab) throws Exception {
        HttpClient client = time.client(HttpClient.newBuilder().connectTimeout(EIGHT_HOURS).build());
        clock.advance(EIGHT_HOURS);
        HttpRequest request = HttpRequest.newBuilder(clock(lab)).build();
        HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());
        assertEquals(seconds(base.plus(EIGHT_HOURS)), Double.valueOf(answer.headers().firstValue("X-Lab-Time").get()));
        assertEquals("true", answer.headers().firstValue("X-Lab-Settled").get());
        assertEquals(clock.instant(), lab.clock().now());
        clock.advance(Duration.ofNanos(1_500_000));
        client.sendAsync(request, BodyHandlers.discarding()).join();
        assertEquals(clock.instant(), lab.clock().now());
        assertEquals(EIGHT_HOURS, client.connectTimeout().orElseThrow());
    }

    @Test
    void okHttpCarriesIt(Lab lab) throws Exception {
        OkHttpClient client =
                new OkHttpClient.Builder().addInterceptor(new CarriedTimeInterceptor(time)).build();
        clock.advance(EIGHT_HOURS);
        get(client, clock(lab));
        assertEquals(clock.instant(), lab.clock().now());
    }

    @Test
    void anSdkWithAClientOfItsOwnCarriesIt(Lab lab) throws Exception {
        OkHttpClient own = Sdk.http;
        clock.advance(EIGHT_HOURS);
        try (var carrying = CarriedTimeInterceptor.into(Sdk.class, time)) {
            get(Sdk.http, clock(lab));
        }
        assertEquals(clock.instant(), lab.clock().now());
        assertEquals(own, Sdk.http);
        assertThrows(LabException.class, () -> CarriedTimeInterceptor.into(CarriedTimeTest.class, time));
    }

    private static final class Sdk {
        private static OkHttpClient http = new OkHttpClient();
    }

    @Test
    void aClientWithoutHeadersIsCaughtUpFor(Lab lab) {
        clock.advance(EIGHT_HOURS);
        time.catchUp();
        assertEquals(clock.instant(), lab.clock().now());
        assertEquals(clock.instant(), clock.withZone(ZoneId.of("Asia/Shanghai")).instant());
        clock.advance(EIGHT_HOURS.multipliedBy(-3));
        assertEquals(Map.of("X-Lab-Time", Json.seconds(base)), time.headers());
    }

    @Test
    void nobodyElseIsTold() throws Exception {
        CopyOnWriteArrayList<String> told = new CopyOnWriteArrayList<>();
        HttpServer other = elsewhere(told);
        URI address = URI.create("http://127.0.0.1:" + other.getAddress().getPort() + "/");
        try {
            time.client(HttpClient.newHttpClient()).send(HttpRequest.newBuilder(address).build(), BodyHandlers.ofString());
            get(new OkHttpClient.Builder().addInterceptor(new CarriedTimeInterceptor(time)).build(), address);
        } finally {
            other.stop(0);
        }
        assertTrue(told.size() > 2 && !told.contains("x-lab-time"), told.toString());
    }

    private static HttpServer elsewhere(CopyOnWriteArrayList<String> told) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            exchange.getRequestHeaders().keySet().forEach(name -> told.add(name.toLowerCase()));
            exchange.sendResponseHeaders(204, -1);
            exchange.close();
        });
        server.start();
        return server;
    }

    private static void get(OkHttpClient client, URI address) throws IOException {
        try (Response response = client.newCall(new Request.Builder().url(address.toString()).build()).execute()) {
            assertTrue(response.isSuccessful());
        }
    }

    private static URI clock(Lab lab) {
        return URI.create(lab.url() + "/lab/v1/clock");
    }

    private static double seconds(Duration duration) {
        return duration.toNanos() / 1e9;
    }
}
