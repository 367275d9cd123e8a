package riders;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Prints every update that reaches this member of the group named on the command line; ends with Ctrl-C. */
public final class Consume {
    public static void main(String[] args) {
        if (args.length != 1) {
            System.err.println("usage: riders.Consume GROUP");
            System.exit(2);
        }
        String group = args[0];
        // A group that has not committed yet begins with the first message.
        Map<String, Object> added = Map.of("group.id", group, "auto.offset.reset", "earliest");
        // Leaving by name hands the partitions to the other members at once; a killed member keeps them until its session ends.
        try (var consumer = new KafkaConsumer<>(Broker.configuration(added), new StringDeserializer(), new StringDeserializer())) {
            stopAtExit(consumer, Thread.currentThread());
            consumer.subscribe(List.of(Broker.TOPIC));
            while (true) {
                for (ConsumerRecord<String, String> update : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.printf("%s: [%s]: PART:%d: %s%n", group, update.topic(), update.partition(), update.value());
                }
            }
        } catch (WakeupException stopped) {
            // Ctrl-C: the consumer has been closed.
        }
    }

    /** Ctrl-C wakes the consumer and waits until it has left its group. */
    private static void stopAtExit(KafkaConsumer<?, ?> consumer, Thread main) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException impatient) {
                Thread.currentThread().interrupt();
            }
        }));
    }

    private Consume() {}
}
