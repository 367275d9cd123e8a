package riders;

import java.util.HashMap;
import java.util.Map;

/** The one place that knows where the broker is. */
final class Broker {
    /** Where riders report: partition 0 holds the north, partition 1 the south. */
    static final String TOPIC = "rider-updates";

    /** The configuration of a client: how to reach the broker, and what this client adds. */
    static Map<String, Object> configuration(Map<String, Object> added) {
        // Only what goes wrong is worth a line among those of the application.
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "error");
        Map<String, Object> all = new HashMap<>(added);
        all.put("bootstrap.servers", System.getenv().getOrDefault("OTTLA_BOOTSTRAP", "127.0.0.1:9092"));
        all.put("client.id", "rider-app");
        return all;
    }

    private Broker() {}
}
