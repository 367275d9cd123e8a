package riders;

import java.util.Map;
import java.util.Scanner;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Sends a rider's location for every line {@code NAME LOCATION}, for example {@code tony south}; ends with the input (Ctrl-D). */
public final class Produce {
    /** Letters and digits only, which JSON takes as they are. */
    private static final Pattern UPDATE = Pattern.compile("([\\p{L}\\p{N}]+)\\s+([\\p{L}\\p{N}]+)");

    public static void main(String[] args) {
        try (var producer = new KafkaProducer<>(Broker.configuration(Map.of()), new StringSerializer(), new StringSerializer());
                var lines = new Scanner(System.in)) {
            for (prompt(); lines.hasNextLine(); prompt()) {
                String line = lines.nextLine().strip();
                Matcher update = UPDATE.matcher(line);
                if (update.matches()) {
                    producer.send(record(update.group(1), update.group(2)), (answer, refused) -> {
                        if (refused != null) {
                            System.err.println("not delivered: " + refused.getMessage());
                        }
                    });
                } else if (!line.isEmpty()) {
                    System.out.println("a name and a location, please: tony south");
                }
            }
        } // Closing the producer waits for what it has not sent yet.
    }

    private static ProducerRecord<String, String> record(String rider, String location) {
        int partition = location.equalsIgnoreCase("north") ? 0 : 1;
        String value = String.format("{\"riderName\":\"%s\",\"location\":\"%s\"}", rider, location);
        return new ProducerRecord<>(Broker.TOPIC, partition, rider, value);
    }

    private static void prompt() {
        System.out.print("> ");
        System.out.flush();
    }

    private Produce() {}
}
