package clients;

import static clients.Cluster.createTopic;
import static clients.Cluster.produce;
import static clients.Cluster.readAssigned;
import static clients.Cluster.unique;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Partitioner;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.utils.Utils;

/** Producing: where a record lands, what survives the way through the broker, and what the acknowledgement says. */
final class ProducingCases {
    private static ProducerRecord<String, String> record(String topic, Integer partition, String key, String value) {
        return new ProducerRecord<>(topic, partition, key, value);
    }

    @Case("an explicit partition is obeyed, and the acknowledgement names the offset")
    void explicit() throws Exception {
        String topic = createTopic(3);
        List<ProducerRecord<String, String>> records =
            List.of(0, 1, 1, 2, 2, 2).stream().map(p -> record(topic, p, null, "p" + p)).toList();
        List<String> answers = produce(records, Map.of()).stream().map(RecordMetadata::toString).toList();
        Check.equal(List.of("0@0", "1@0", "1@1", "2@0", "2@1", "2@2").stream().map(a -> topic + "-" + a).toList(), answers, "acknowledged");
        for (ConsumerRecord<String, String> read : readAssigned(topic, 3, 6)) {
            Check.equal("p" + read.partition(), read.value(), "value");
        }
    }

    @Case("keyed records land where murmur2 says; the vectors of the other suites are Kafka's own")
    void keyed() throws Exception {
        JsonNode vectors = new ObjectMapper().readTree(Path.of(System.getProperty("ottla.clients"), "murmur2.json").toFile());
        String topic = createTopic(6);
        List<ProducerRecord<String, String>> records = new ArrayList<>();
        List<Integer> expected = new ArrayList<>();
        for (JsonNode vector : vectors) {
            String key = vector.get("key").asText();
            int hash = vector.get("hash").asInt();
            Check.equal(Utils.toPositive(Utils.murmur2(key.getBytes(StandardCharsets.UTF_8))), hash, "hash of " + key);
            records.add(record(topic, null, key, key));
            expected.add(hash % 6);
        }
        Check.that(records.size() > 10, "the vectors are there");
        Check.equal(expected, produce(records, Map.of()).stream().map(RecordMetadata::partition).toList(), "partitions");
    }

    /** Partition 0 for the north, 1 for everything else. */
    public static final class ByLocation implements Partitioner {
        @Override
        public int partition(String topic, Object key, byte[] keyBytes, Object value, byte[] valueBytes, org.apache.kafka.common.Cluster cluster) {
            return "north".equals(value) ? 0 : 1;
        }

        @Override
        public void close() {}

        @Override
        public void configure(Map<String, ?> config) {}
    }

    @Case("a custom partitioner decides")
    void custom() throws Exception {
        String topic = createTopic(2);
        List<ProducerRecord<String, String>> records =
            List.of("south", "north", "south").stream().map(location -> record(topic, null, "tony", location)).toList();
        List<RecordMetadata> answers = produce(records, Map.of("partitioner.class", ByLocation.class.getName()));
        Check.equal(List.of(1, 0, 1), answers.stream().map(RecordMetadata::partition).toList(), "partitions");
    }

    private static void codec(String codec) throws Exception {
        String topic = createTopic(2);
        List<ProducerRecord<String, String>> records = IntStream.range(0, 2000)
            .mapToObj(i -> record(topic, i % 2, "k" + i % 7, ("value " + i + " ").repeat(20)))
            .toList();
        produce(records, Map.of("compression.type", codec, "linger.ms", 20));
        List<ConsumerRecord<String, String>> read = readAssigned(topic, 2, 2000);
        for (int p = 0; p < 2; p++) {
            int partition = p;
            List<String> sent = records.stream().filter(r -> r.partition() == partition).map(ProducerRecord::value).toList();
            List<String> got = read.stream().filter(r -> r.partition() == partition).map(ConsumerRecord::value).toList();
            Check.that(sent.equals(got), codec + ": partition " + partition + " holds what was sent, in order");
        }
    }

    @Case("idempotent producing, uncompressed")
    void none() throws Exception {
        codec("none");
    }

    @Case("idempotent producing, gzip")
    void gzip() throws Exception {
        codec("gzip");
    }

    @Case("idempotent producing, snappy")
    void snappy() throws Exception {
        codec("snappy");
    }

    @Case("idempotent producing, lz4")
    void lz4() throws Exception {
        codec("lz4");
    }

    @Case("idempotent producing, zstd")
    void zstd() throws Exception {
        codec("zstd");
    }

    @Case("five idempotent batches in flight keep their order")
    void pipelined() throws Exception {
        String topic = createTopic(1);
        List<ProducerRecord<String, String>> records =
            IntStream.range(0, 3000).mapToObj(i -> record(topic, 0, null, Integer.toString(i))).toList();
        List<RecordMetadata> answers = produce(records, Map.of("batch.size", 100, "linger.ms", 0));
        Check.equal(IntStream.range(0, 3000).mapToObj(i -> (long) i).toList(), answers.stream().map(RecordMetadata::offset).toList(), "offsets");
        List<String> read = readAssigned(topic, 1, 3000).stream().map(ConsumerRecord::value).toList();
        Check.equal(records.stream().map(ProducerRecord::value).toList(), read, "values");
    }

    @Case("acks=0, acks=1 and acks=all reach the log")
    void acks() throws Exception {
        String topic = createTopic(1);
        for (String acks : List.of("0", "1", "all")) {
            produce(List.of(record(topic, 0, null, acks)), Map.of("acks", acks, "enable.idempotence", acks.equals("all")));
        }
        Check.equal(List.of("0", "1", "all"), readAssigned(topic, 1, 3).stream().map(ConsumerRecord::value).toList(), "values");
    }

    @Case("headers, timestamps, tombstones and empty values come back as they were")
    void intact() throws Exception {
        String topic = createTopic(Cluster.BOOTSTRAP, 1, Cluster.KEEP);
        var headers = List.<org.apache.kafka.common.header.Header>of(
            new RecordHeader("many", new byte[] {1}), new RecordHeader("many", new byte[] {2}), new RecordHeader("null", null));
        produce(List.of(
            new ProducerRecord<>(topic, 0, 1_600_000_000_000L, "k", "v", headers),
            new ProducerRecord<>(topic, 0, 1_600_000_000_001L, "tombstone", (String) null),
            new ProducerRecord<>(topic, 0, 1_600_000_000_002L, "", "")), Map.of());
        List<ConsumerRecord<String, String>> read = readAssigned(topic, 1, 3);
        Check.equal(headers, List.of(read.get(0).headers().toArray()), "headers");
        Check.equal(List.of(1_600_000_000_000L, 1_600_000_000_001L, 1_600_000_000_002L), read.stream().map(ConsumerRecord::timestamp).toList(), "time");
        Check.that(read.get(1).value() == null, "a tombstone has no value");
        Check.equal("", read.get(2).key() + read.get(2).value(), "empty is not null");
    }

    @Case("producing to an unknown topic creates it; an impossible name is refused")
    void autoCreation() throws Exception {
        String topic = unique("created-by-producing");
        produce(List.of(record(topic, null, null, "first")), Map.of());
        Check.equal("first", readAssigned(topic, 1, 1).get(0).value(), "value");
        Check.refused(InvalidTopicException.class, () -> produce(List.of(record("not a topic", null, null, "v")), Map.of()));
    }

    @Case("a batch above max.message.bytes is refused")
    void tooLarge() throws Exception {
        String topic = createTopic(Cluster.BOOTSTRAP, 1, Map.of("max.message.bytes", "10000"));
        Check.refused(RecordTooLargeException.class, () -> produce(List.of(record(topic, 0, null, "x".repeat(20_000))), Map.of()));
        produce(List.of(record(topic, 0, null, "small enough")), Map.of());
    }
}
