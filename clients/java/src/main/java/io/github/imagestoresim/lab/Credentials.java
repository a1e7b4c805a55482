package io.github.imagestoresim.lab;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * What a client logs in with.
 *
 * @param accountName the name of the account
 * @param password the password as a person types it
 */
public record Credentials(String accountName, String password) {

    /**
     * Return the password as ZStack's API wants it.
     *
     * @return its SHA-512 in hexadecimal digits
     */
    public String sha512() {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-512").digest(password.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest);
        } catch (NoSuchAlgorithmException error) {
            throw new LabException("this Java has no SHA-512", 0, error);
        }
    }
}
