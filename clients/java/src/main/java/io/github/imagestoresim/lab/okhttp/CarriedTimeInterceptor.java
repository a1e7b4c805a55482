package io.github.imagestoresim.lab.okhttp;

import io.github.imagestoresim.lab.CarriedTime;
import io.github.imagestoresim.lab.LabException;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import okhttp3.Interceptor;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/** Puts the time of a test on each request that OkHttp sends to the lab: {@code builder.addInterceptor(this)}. */
public final class CarriedTimeInterceptor implements Interceptor {
    private final CarriedTime time;

    /**
     * Carry that time.
     *
     * @param time from {@link io.github.imagestoresim.lab.Lab#carryTime}
     */
    public CarriedTimeInterceptor(CarriedTime time) {
        this.time = time;
    }

    @Override
    public Response intercept(Chain chain) throws IOException {
        Request request = chain.request();
        if (!time.isFor(request.url().uri())) {
            return chain.proceed(request);
        }
        Request.Builder carrying = request.newBuilder();
        time.headers().forEach(carrying::header);
        return chain.proceed(carrying.build());
    }

    /** What ends the carrying of time. */
    @FunctionalInterface
    public interface Carrying extends AutoCloseable {
        @Override
        void close();
    }

    /**
     * Carry time with an SDK that keeps its OkHttpClient in a static field, as {@code ZSClient} of ZStack's does. Call
     * it after {@code ZSClient.configure}, which may make another OkHttpClient.
     *
     * @param sdk the class with that field
     * @param time from {@link io.github.imagestoresim.lab.Lab#carryTime}
     * @return closing it puts the SDK's own client back
     */
    public static Carrying into(Class<?> sdk, CarriedTime time) {
        Field field = fieldOf(sdk);
        OkHttpClient own = exchange(field, null);
        exchange(field, own.newBuilder().addInterceptor(new CarriedTimeInterceptor(time)).build());
        return () -> exchange(field, own);
    }

    private static Field fieldOf(Class<?> sdk) {
        Field found = Arrays.stream(sdk.getDeclaredFields())
                .filter(field -> field.getType() == OkHttpClient.class)
                .filter(field -> Modifier.isStatic(field.getModifiers()) && !Modifier.isFinal(field.getModifiers()))
                .findFirst()
                .orElseThrow(() -> new LabException(sdk + " has no static OkHttpClient that can be replaced"));
        found.setAccessible(true);
        return found;
    }

    /** Return the client in the field, and put another there if it is not null. */
    private static OkHttpClient exchange(Field field, OkHttpClient other) {
        try {
            OkHttpClient before = (OkHttpClient) field.get(null);
            if (other != null) {
                field.set(null, other);
            }
            return before;
        } catch (IllegalAccessException error) {
            throw new LabException(field + " cannot be replaced: " + error.getMessage());
        }
    }
}
