package example.zstack;

/** Where the management node is. */
public final class ZSConfig {
    String hostname = "localhost";
    int port = 8080;
    String contextPath = "zstack";

    private ZSConfig() {}

    public static final class Builder {
        private final ZSConfig config = new ZSConfig();

        public Builder setHostname(String hostname) {
            config.hostname = hostname;
            return this;
        }

        public Builder setPort(int port) {
            config.port = port;
            return this;
        }

        public Builder setContextPath(String path) {
            config.contextPath = path;
            return this;
        }

        public ZSConfig build() {
            return config;
        }
    }
}
