package clients;

import static clients.Cluster.createTopic;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The data folder of a broker, read by Kafka's own {@code dump-log}. */
final class LogFileCases {
    private static final int RECORDS = 9_000;

    @Case("dump-log finds the segments and indexes of a broker in order")
    void dumpLog() throws Exception {
        try (Broker broker = broker("dump-log")) {
            String topic = write(broker, RECORDS, Map.of("segment.bytes", "1048576"));
            List<Path> segments = broker.files(topic, ".log");
            Check.that(segments.size() >= 2, "several segments, not " + segments);
            Check.equal((long) RECORDS, records(segments), "records in the segments");
            for (String kind : List.of(".index", ".timeindex")) {
                List<Path> indexes = broker.files(topic, kind);
                Check.equal(segments.size(), indexes.size(), "files " + kind);
                verifyIndexes(indexes);
            }
            Check.equal(1, broker.files(topic, "leader-epoch-checkpoint").size(), "leader-epoch-checkpoint");
        }
    }

    @Case("dump-log reads a compacted log and its indexes")
    void compactedLog() throws Exception {
        try (Broker broker = broker("compacted-log")) {
            int keys = RECORDS / 6;
            String topic = write(broker, keys, Map.of("cleanup.policy", "compact", "segment.bytes", "1048576", "min.cleanable.dirty.ratio", "0.01"));
            List<Path> segments = broker.files(topic, ".log");
            String dumped = Tool.ok(Tool.DUMP_LOG, "--deep-iteration", "--print-data-log", "--files", joined(segments));
            Check.equal(List.of(), dumped.lines().filter(line -> line.contains("isvalid: false")).toList(), "invalid batches");
            List<Long> offsets = offsets(dumped);
            Check.equal(offsets.stream().sorted().distinct().toList(), offsets, "offsets grow");
            Check.that(offsets.size() < RECORDS / 2, "most records went, " + offsets.size() + " are left");
            Map<String, String> newest = new HashMap<>();
            Matcher found = Pattern.compile(" key: key (\\d+) payload: value (\\d+) ").matcher(dumped);
            while (found.find()) {
                newest.put(found.group(1), found.group(2));
            }
            Check.equal(keys, newest.size(), "keys");
            newest.forEach((key, value) -> Check.equal(RECORDS - keys + Integer.parseInt(key), Integer.parseInt(value), "newest value of key " + key));
            for (String kind : List.of(".index", ".timeindex")) {
                verifyIndexes(broker.files(topic, kind));
            }
        }
    }

    @Case("dump-log reads aborted and open transactions")
    void transactions() throws Exception {
        try (Broker broker = broker("transactions")) {
            String topic = writeTransactions(broker.start());
            broker.stop();
            String dumped = Tool.ok(Tool.DUMP_LOG, "--files", joined(broker.files(topic, ".txnindex")));
            List<String> aborted = dumped.lines().filter(line -> line.startsWith("version: "))
                .map(line -> line.replaceFirst("producerId: \\d+ ", "")).toList();
            Check.equal(
                List.of("version: 0 firstOffset: 0 lastOffset: 4 lastStableOffset: 3", "version: 0 firstOffset: 3 lastOffset: 7 lastStableOffset: 8"),
                aborted, "aborted transactions");
            List<Path> snapshots = broker.files(topic, ".snapshot");
            dumped = Tool.ok(Tool.DUMP_LOG, "--files", snapshots.get(snapshots.size() - 1).toString());
            Check.equal(1L, dumped.lines().filter(line -> line.contains("currentTxnFirstOffset: OptionalLong[8]")).count(), "open since 8 in " + dumped);
            Check.equal(1L, dumped.lines().filter(line -> line.contains("currentTxnFirstOffset: OptionalLong.empty")).count(), "ended in " + dumped);
        }
    }

    @Case("dump-log reads what the coordinators of transactions and groups store")
    void coordinators() throws Exception {
        try (Broker broker = broker("coordinators")) {
            String transactionalId = Cluster.unique("dump-log");
            String group = Cluster.unique("group");
            String topic = copyOffsets(broker.start(), transactionalId, group);
            broker.stop();
            String dumped = dumpRecords(broker.folder, "__transaction_state", "--transaction-log-decoder");
            List<String> of = dumped.lines().filter(line -> line.contains(transactionalId)).toList();
            // Empty, ongoing with the topic and then the group's partition, ended, complete, ongoing again.
            Check.equal(List.of("0", "1", "1", "2", "4", "1"), of.stream().map(line -> field(line, "transactionStatus")).toList(), "states in " + dumped);
            Check.that(of.get(1).contains("\"topic\":\"" + topic + "\",\"partitionIds\":[0]"), "the topic in " + of.get(1));
            Check.that(of.get(2).contains("\"topic\":\"__consumer_offsets\""), "the group's partition in " + of.get(2));
            dumped = dumpRecords(broker.folder, "__consumer_offsets", "--offsets-decoder");
            List<String> commits = dumped.lines().filter(line -> line.contains("\"group\":\"" + group + "\"")).toList();
            Check.equal(1, commits.size(), "commits in " + dumped);
            Check.that(commits.get(0).contains("\"topic\":\"" + topic + "\",\"partition\":0"), "the partition in " + commits);
            Check.equal("5", field(commits.get(0), "offset"), "offset in " + commits);
            Check.that(commits.get(0).contains("\"metadata\":\"a note\""), "metadata in " + commits);
            Check.that(dumped.contains("endTxnMarker: COMMIT"), "the marker in " + dumped);
        }
    }

    /** A transaction that writes a record and commits an offset, and another one that is left open once the first is complete. */
    private static String copyOffsets(String bootstrap, String transactionalId, String group) throws Exception {
        String topic = createTopic(bootstrap, 1, Map.of());
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "group.id", group);
        try (var producer = transactional(bootstrap, transactionalId);
            var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "copied")).get();
            producer.sendOffsetsToTransaction(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(5, "a note")), consumer.groupMetadata());
            producer.commitTransaction();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, "open")).get();
            producer.close(Duration.ZERO);
        }
        return topic;
    }

    /** The records of an internal topic, as the tool shows them with this decoder. */
    private static String dumpRecords(Path folder, String topic, String decoder) throws Exception {
        try (var paths = Files.walk(folder)) {
            List<Path> written = paths.filter(path -> path.getParent().getFileName().toString().startsWith(topic + "-"))
                .filter(path -> path.toString().endsWith(".log") && path.toFile().length() > 0).toList();
            return Tool.ok(Tool.DUMP_LOG, decoder, "--files", joined(written));
        }
    }

    /** A number in what a decoder shows. */
    private static String field(String line, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":(-?\\d+)").matcher(line);
        Check.that(found.find(), name + " in " + line);
        return found.group(1);
    }

    /** Two producers: three records that are aborted around one of the other's, one that is committed, one left open. */
    private static String writeTransactions(String bootstrap) throws Exception {
        String topic = createTopic(bootstrap, 1, Map.of());
        try (var one = transactional(bootstrap); var two = transactional(bootstrap)) {
            one.beginTransaction();
            for (int i = 0; i < 3; i++) {
                one.send(new ProducerRecord<>(topic, "aborted " + i)).get();
            }
            two.beginTransaction();
            two.send(new ProducerRecord<>(topic, "aborted too")).get();
            one.abortTransaction();
            one.beginTransaction();
            one.send(new ProducerRecord<>(topic, "committed")).get();
            one.commitTransaction();
            // A commit returns before its marker is written.
            while (end(bootstrap, topic, "read_uncommitted") < 7) {}
            two.abortTransaction();
            two.beginTransaction();
            two.send(new ProducerRecord<>(topic, "open")).get();
            Check.equal(List.of("committed"), values(bootstrap, topic, "read_committed", 8), "what was committed");
            Check.equal(List.of("aborted 0", "aborted 1", "aborted 2", "aborted too", "committed", "open"),
                values(bootstrap, topic, "read_uncommitted", 9), "what was written");
            two.close(Duration.ZERO);
        }
        return topic;
    }

    private static KafkaProducer<String, String> transactional(String bootstrap) {
        return transactional(bootstrap, Cluster.unique("dump-log"));
    }

    private static KafkaProducer<String, String> transactional(String bootstrap, String transactionalId) {
        var producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap, "transactional.id", transactionalId),
            new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    private static long end(String bootstrap, String topic, String isolation) {
        TopicPartition partition = new TopicPartition(topic, 0);
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "isolation.level", isolation);
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            return consumer.endOffsets(List.of(partition)).get(partition);
        }
    }

    /** The values of a topic's only partition up to an offset. */
    private static List<String> values(String bootstrap, String topic, String isolation, long end) {
        TopicPartition partition = new TopicPartition(topic, 0);
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "isolation.level", isolation, "auto.offset.reset", "earliest");
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            Check.equal(end, end(bootstrap, topic, isolation), "end for " + isolation);
            consumer.assign(List.of(partition));
            List<String> values = new ArrayList<>();
            while (consumer.position(partition) < end) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> values.add(record.value()));
            }
            return values;
        }
    }

    private static Broker broker(String name) throws Exception {
        return new Broker(name, "log.cleaner.backoff.ms=100");
    }

    /**
     * Starts the broker, writes with every codec, and stops it. Keys come again after so many; where they do, the broker has time to
     * compact what it has.
     */
    private static String write(Broker broker, int keys, Map<String, String> configs) throws Exception {
        String bootstrap = broker.start();
        String topic = createTopic(bootstrap, 1, configs);
        int from = 0;
        // A millisecond apart, however fast they are written: an index of times has an entry only where the time grows.
        long begin = System.currentTimeMillis() - RECORDS;
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd", "none")) {
            List<ProducerRecord<String, String>> records = IntStream.range(from, from + RECORDS / 6)
                .mapToObj(i -> new ProducerRecord<>(topic, 0, begin + i, "key " + i % keys, ("value " + i + " ").repeat(40)))
                .toList();
            Cluster.produce(records, Map.of("bootstrap.servers", bootstrap, "compression.type", codec, "batch.size", 4000));
            from += RECORDS / 6;
        }
        if (configs.containsKey("cleanup.policy")) {
            awaitCompaction(broker, topic);
        }
        broker.stop();
        return topic;
    }

    /** Waits until everything but the segment in use was compacted, as the broker has written down. */
    private static void awaitCompaction(Broker broker, String topic) throws Exception {
        Path checkpoint = broker.logs().resolve("cleaner-offset-checkpoint");
        Check.eventually(() -> {
            List<Path> segments = broker.files(topic, ".log");
            String inUse = segments.get(segments.size() - 1).getFileName().toString().replace(".log", "");
            String line = topic + " 0 " + Long.parseLong(inUse);
            return Files.exists(checkpoint) && Files.readAllLines(checkpoint).contains(line);
        }, () -> "compaction reaches the segment in use");
    }

    /** Every batch is valid and every record is there, in order. Returns how many records there are. */
    private static long records(List<Path> segments) throws Exception {
        String dumped = Tool.ok(Tool.DUMP_LOG, "--deep-iteration", "--print-data-log", "--files", joined(segments));
        List<String> invalid = dumped.lines().filter(line -> line.contains("isvalid: false") || line.contains("not consecutive")).toList();
        Check.equal(List.of(), invalid, "invalid batches");
        List<Long> offsets = offsets(dumped);
        Check.equal(IntStream.range(0, offsets.size()).mapToObj(i -> (long) i).toList(), offsets, "offsets");
        Check.that(List.of("gzip", "snappy", "lz4", "zstd").stream().allMatch(codec -> dumped.contains("compresscodec: " + codec)), "every codec");
        return offsets.size();
    }

    private static List<Long> offsets(String dumped) {
        List<Long> offsets = new ArrayList<>();
        Matcher found = Pattern.compile("^\\| offset: (\\d+) ", Pattern.MULTILINE).matcher(dumped);
        while (found.find()) {
            offsets.add(Long.parseLong(found.group(1)));
        }
        return offsets;
    }

    /** Every entry points at the batch that holds it, and there are entries to say so of. */
    private static void verifyIndexes(List<Path> indexes) throws Exception {
        String verified = Tool.ok(Tool.DUMP_LOG, "--verify-index-only", "--files", joined(indexes));
        List<String> wrong = verified.lines()
            .filter(line -> line.contains("Mismatches") || line.contains("mismatch") || line.contains("out of order") || line.contains("Index position"))
            .toList();
        Check.equal(List.of(), wrong, "faults that the tool found");
        String dumped = Tool.ok(Tool.DUMP_LOG, "--files", joined(indexes));
        Check.that(dumped.lines().filter(line -> line.startsWith("offset: ") || line.startsWith("timestamp: ")).count() > 10, "entries in " + dumped);
    }

    private static String joined(List<Path> files) {
        return String.join(",", files.stream().map(Path::toString).toList());
    }
}
