package io.github.imagestoresim.lab;

import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads and writes JSON. Objects are maps, arrays lists, numbers doubles; a duration is written in seconds, an instant
 * as ISO 8601.
 */
final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** Return what the text says. Throw LabException if it is not one JSON value. */
    static Object read(String text) {
        Json reader = new Json(text);
        Object value = reader.value();
        reader.skipSpace();
        if (reader.at < text.length()) {
            throw reader.unexpected();
        }
        return value;
    }

    static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value instanceof Map<?, ?> members) {
            writeAll('{', '}', members.entrySet(), out);
        } else if (value instanceof Map.Entry<?, ?> member) {
            quote(String.valueOf(member.getKey()), out);
            out.append(':');
            write(member.getValue(), out);
        } else if (value instanceof Iterable<?> items) {
            writeAll('[', ']', items, out);
        } else if (value instanceof Duration duration) {
            out.append(seconds(duration));
        } else if (value == null || value instanceof Boolean || value instanceof Number) {
            out.append(value);
        } else if (value instanceof CharSequence || value instanceof Instant || value instanceof Enum) {
            quote(value.toString(), out);
        } else {
            throw new LabException(value.getClass() + " cannot be sent: use texts, numbers, maps and lists");
        }
    }

    private static void writeAll(char first, char last, Iterable<?> items, StringBuilder out) {
        out.append(first);
        String separator = "";
        for (Object item : items) {
            out.append(separator);
            write(item, out);
            separator = ",";
        }
        out.append(last);
    }

    private static void quote(String text, StringBuilder out) {
        out.append('"');
        for (char one : text.toCharArray()) {
            if (one == '"' || one == '\\') {
                out.append('\\').append(one);
            } else if (one < ' ') {
                out.append(String.format("\\u%04x", (int) one));
            } else {
                out.append(one);
            }
        }
        out.append('"');
    }

    /** Return a duration in seconds, without an exponent. */
    static String seconds(Duration duration) {
        return BigDecimal.valueOf(duration.getSeconds())
                .add(BigDecimal.valueOf(duration.getNano(), 9))
                .stripTrailingZeros()
                .toPlainString();
    }

    private Object value() {
        skipSpace();
        return switch (peek()) {
            case '{' -> object();
            case '[' -> array();
            case '"' -> string();
            case 't' -> word("true", Boolean.TRUE);
            case 'f' -> word("false", Boolean.FALSE);
            case 'n' -> word("null", null);
            default -> number();
        };
    }

    private Map<String, Object> object() {
        Map<String, Object> members = new LinkedHashMap<>();
        for (expect('{'); !ends('}'); ) {
            skipSpace();
            String name = string();
            skipSpace();
            expect(':');
            members.put(name, value());
        }
        return members;
    }

    private List<Object> array() {
        List<Object> items = new ArrayList<>();
        for (expect('['); !ends(']'); ) {
            items.add(value());
        }
        return items;
    }

    /** Step over a comma, or over the end and return true. */
    private boolean ends(char last) {
        skipSpace();
        if (peek() == last) {
            at++;
            return true;
        }
        if (peek() == ',') {
            at++;
        }
        return false;
    }

    private String string() {
        expect('"');
        StringBuilder out = new StringBuilder();
        while (peek() != '"') {
            char one = text.charAt(at++);
            out.append(one == '\\' ? escaped() : one);
        }
        at++;
        return out.toString();
    }

    private char escaped() {
        char one = peek();
        at++;
        if (one != 'u') {
            int index = "bfnrt".indexOf(one);
            return index < 0 ? one : "\b\f\n\r\t".charAt(index);
        }
        at += 4;
        return (char) Integer.parseInt(text.substring(at - 4, at), 16);
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw unexpected();
        }
        at += word.length();
        return value;
    }

    private Double number() {
        int begin = at;
        while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        if (begin == at) {
            throw unexpected();
        }
        return Double.valueOf(text.substring(begin, at));
    }

    private void skipSpace() {
        while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
            at++;
        }
    }

    private void expect(char one) {
        if (peek() != one) {
            throw unexpected();
        }
        at++;
    }

    private char peek() {
        if (at >= text.length()) {
            throw unexpected();
        }
        return text.charAt(at);
    }

    private LabException unexpected() {
        return new LabException("no JSON at character " + at + ": " + text.substring(0, Math.min(text.length(), 200)));
    }
}
