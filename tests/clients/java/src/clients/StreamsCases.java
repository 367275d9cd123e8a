package clients;

import static clients.Cluster.createTopic;
import static clients.Cluster.unique;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.Stores;

/** Kafka Streams with exactly-once processing while its broker is killed. */
final class StreamsCases {
    private static final int WORDS = 10;
    private static final int WORDS_PER_LINE = 4;
    private static final int KILLS = 2;

    @Case("a word count with exactly_once_v2 is exact after the broker was killed again and again")
    void wordCount() throws Exception {
        try (Broker broker = new Broker("word-count")) {
            String bootstrap = broker.start();
            String lines = createTopic(bootstrap, Copies.PARTITIONS, Map.of());
            String counts = createTopic(bootstrap, 1, Map.of());
            int perPart = Copies.records() / (WORDS * WORDS_PER_LINE * (KILLS + 1)) * WORDS;
            int words = perPart * (KILLS + 1) * WORDS_PER_LINE;
            String application = unique("word-count");
            try (KafkaConsumer<String, String> reader =
                    Cluster.consumer(Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed"))) {
                reader.assign(List.of(new TopicPartition(counts, 0)));
                int[] read = new int[1];
                // Each part begins anew, from the state and the offsets that are committed.
                for (int part = 0; part <= KILLS; part++) {
                    KafkaStreams streams = count(bootstrap, application, lines, counts);
                    streams.start();
                    write(bootstrap, lines, part * perPart, (part + 1) * perPart);
                    int wanted = part < KILLS ? read[0] + 1 : words;
                    while (read[0] < wanted) {
                        int before = read[0];
                        Check.eventually(() -> {
                            read[0] += reader.poll(Duration.ofMillis(100)).count();
                            return before < read[0];
                        }, () -> wanted + " counts, there are " + read[0] + ", streams are " + streams.state());
                    }
                    if (part < KILLS) {
                        Copies.restart(broker);
                    }
                    streams.close(CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
                }
            }
            Map<String, List<Integer>> found = new HashMap<>();
            for (String value : Copies.committed(bootstrap, counts, 1).get(0)) {
                String[] parts = value.split(" ");
                found.computeIfAbsent(parts[0], word -> new ArrayList<>()).add(Integer.parseInt(parts[1]));
            }
            Check.equal(WORDS, found.size(), "words");
            // Every step of every count is written, because nothing is cached.
            found.forEach((word, numbers) -> {
                for (int i = 0; i < numbers.size(); i++) {
                    Check.equal(i + 1, numbers.get(i), "count " + i + " of " + word);
                }
                Check.equal(words / WORDS, numbers.size(), "counts of " + word);
            });
        }
    }

    /** Lines in turn over the partitions, in which each word comes as often as the others. */
    private static void write(String bootstrap, String topic, int from, int to) throws Exception {
        List<ProducerRecord<String, String>> records = IntStream.range(from, to).mapToObj(line -> {
            List<String> words = IntStream.range(0, WORDS_PER_LINE).mapToObj(i -> "word" + (line * WORDS_PER_LINE + i) % WORDS).toList();
            return new ProducerRecord<String, String>(topic, line % Copies.PARTITIONS, null, String.join(" ", words));
        }).toList();
        Cluster.produce(records, Map.of("bootstrap.servers", bootstrap));
    }

    private static KafkaStreams count(String bootstrap, String application, String lines, String counts) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(lines)
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word)
            .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")).withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
            .toStream()
            .mapValues((word, count) -> word + " " + count)
            .to(counts);
        Properties config = new Properties();
        // A killed coordinator may forget that a member left, and waits for it once more.
        config.putAll(Map.of("session.timeout.ms", 6_000, "heartbeat.interval.ms", 300));
        config.putAll(Map.of(
            StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap,
            StreamsConfig.APPLICATION_ID_CONFIG, application,
            StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2,
            StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class,
            StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class,
            StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0,
            StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2,
            "auto.offset.reset", "earliest",
            "max.poll.records", 100));
        KafkaStreams streams = new KafkaStreams(builder.build(), config);
        streams.setUncaughtExceptionHandler(failure -> StreamThreadExceptionResponse.REPLACE_THREAD);
        return streams;
    }
}
