package clients;

import static clients.Cluster.createTopic;
import static clients.Cluster.numbered;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** What cases share that kill their broker while records are copied: how many records, when to kill, and what has to be there at the end. */
final class Copies {
    static final int PARTITIONS = 4;
    /** So many are copied between two kills. */
    static final int RECORDS_PER_KILL = 2_500;
    private static final String LAST = "last";

    /** {@code OTTLA_COPIED_RECORDS}: few in every run of the suite, 100,000 in a soak. */
    static int records() {
        return Integer.parseInt(System.getenv().getOrDefault("OTTLA_COPIED_RECORDS", "8000"));
    }

    /** A topic with the values 0, 1, 2, … */
    static String source(String bootstrap) throws Exception {
        String topic = createTopic(bootstrap, PARTITIONS, Map.of());
        Cluster.produce(numbered(topic, PARTITIONS, 0, records()), Map.of("bootstrap.servers", bootstrap));
        return topic;
    }

    /** Kills and starts at a moment that no client knows of: the work that is under way is met in any of its stages. */
    static void restart(Broker broker) throws Exception {
        Thread.sleep(ThreadLocalRandom.current().nextInt(100));
        broker.kill();
        broker.start();
    }

    /**
     * The committed values of each partition, in the order of their offsets. Reading ends at a record put behind them all, which is
     * read only when no transaction before it is left open.
     */
    static List<List<String>> committed(String bootstrap, String topic, int partitions) throws Exception {
        List<TopicPartition> all = IntStream.range(0, partitions).mapToObj(p -> new TopicPartition(topic, p)).toList();
        Cluster.produce(all.stream().map(p -> new ProducerRecord<String, String>(topic, p.partition(), null, LAST)).toList(),
            Map.of("bootstrap.servers", bootstrap));
        List<List<String>> values = Stream.<List<String>>generate(ArrayList::new).limit(partitions).toList();
        Predicate<List<String>> complete = read -> !read.isEmpty() && read.get(read.size() - 1).equals(LAST);
        try (KafkaConsumer<String, String> reader =
                Cluster.consumer(Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed"))) {
            reader.assign(all);
            reader.seekToBeginning(all);
            Check.eventually(() -> {
                reader.poll(Duration.ofMillis(200)).forEach(record -> values.get(record.partition()).add(record.value()));
                return values.stream().allMatch(complete);
            }, () -> "the ends of " + topic + "; read " + values.stream().map(List::size).toList());
        }
        values.forEach(read -> read.remove(read.size() - 1));
        return values;
    }

    /** The target holds what the source was given: each value once, in its partition, in order. */
    static void check(String bootstrap, String target) throws Exception {
        List<List<String>> copied = committed(bootstrap, target, PARTITIONS);
        for (int partition = 0; partition < PARTITIONS; partition++) {
            int first = partition;
            List<String> expected = IntStream.range(0, records()).filter(i -> i % PARTITIONS == first).mapToObj(Integer::toString).toList();
            List<String> found = copied.get(partition);
            for (int i = 0; i < Math.min(expected.size(), found.size()); i++) {
                Check.equal(expected.get(i), found.get(i), "record " + i + " of partition " + partition);
            }
            Check.equal(expected.size(), found.size(), "records in partition " + partition);
        }
    }

    /** The group has committed all of the source. */
    static void checkOffsets(String bootstrap, String group, String source) throws Exception {
        Map<TopicPartition, Long> expected = new HashMap<>();
        for (int partition = 0; partition < PARTITIONS; partition++) {
            expected.put(new TopicPartition(source, partition), (records() - partition + PARTITIONS - 1L) / PARTITIONS);
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            Map<TopicPartition, Long> found = new HashMap<>();
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
                .forEach((partition, committed) -> found.put(partition, committed.offset()));
            Check.equal(expected, found, "committed offsets");
        }
    }

    private Copies() {}
}
