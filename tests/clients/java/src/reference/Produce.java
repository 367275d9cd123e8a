package reference;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** {@code produce TOPIC -f FILE --key-separator SEP --bootstrap HOST:PORT}: as much of {@code ottla produce} as the suites use. */
final class Produce {
    private Produce() {}

    static void run(String topic, Map<String, List<String>> options) throws IOException {
        String separator = options.get("--key-separator").get(0);
        AtomicReference<Exception> failure = new AtomicReference<>();
        Map<String, Object> config = Map.of(
            ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, options.get("--bootstrap").get(0),
            ProducerConfig.LINGER_MS_CONFIG, 5);
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
                var lines = Files.lines(Path.of(options.get("-f").get(0)))) {
            lines.forEach(line -> {
                int end = line.indexOf(separator);
                var keyed = new ProducerRecord<>(topic, line.substring(0, end), line.substring(end + separator.length()));
                producer.send(keyed, (answer, refused) -> {
                    if (refused != null) {
                        failure.compareAndSet(null, refused);
                    }
                });
            });
        }
        if (failure.get() != null) {
            throw new IOException("not everything was delivered", failure.get());
        }
    }
}
