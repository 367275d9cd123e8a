package clients;

import static clients.Cluster.consumer;
import static clients.Cluster.createTopic;
import static clients.Cluster.numbered;
import static clients.Cluster.produce;
import static clients.Cluster.unique;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;

/** Transactions as Java speaks them: producing adds the partitions, and each end gives the producer a new epoch (KIP-890). */
final class TransactionCases {
    private static final Map<String, Object> COMMITTED = Map.of("isolation.level", "read_committed");

    private static KafkaProducer<String, String> transactional(String id, Map<String, Object> config) {
        Map<String, Object> all = new HashMap<>(config);
        all.put("transactional.id", id);
        KafkaProducer<String, String> producer = Cluster.producer(all);
        producer.initTransactions();
        return producer;
    }

    private static void write(KafkaProducer<String, String> producer, String topic, int partition, String value) throws Exception {
        producer.send(new ProducerRecord<>(topic, partition, null, value)).get();
    }

    private static List<String> values(String topic, int partitions, int count, Map<String, Object> config) throws Exception {
        try (KafkaConsumer<String, String> consumer = consumer(config)) {
            List<TopicPartition> all = IntStream.range(0, partitions).mapToObj(p -> new TopicPartition(topic, p)).toList();
            consumer.assign(all);
            List<String> read = new ArrayList<>();
            Check.eventually(() -> {
                consumer.poll(Duration.ofMillis(200)).forEach(record -> read.add(record.value()));
                return read.size() >= count;
            }, () -> count + " records, got " + read);
            return read.stream().sorted().toList();
        }
    }

    private static TransactionDescription described(Admin admin, String id) throws Exception {
        return admin.describeTransactions(List.of(id)).description(id).get();
    }

    @Case("what is committed is read and what is aborted is not; each end gives a new epoch")
    void ends() throws Exception {
        String topic = createTopic(2);
        String id = unique("txn");
        try (KafkaProducer<String, String> producer = transactional(id, Map.of()); Admin admin = Cluster.admin()) {
            for (int number = 0; number < 4; number++) {
                producer.beginTransaction();
                for (int partition = 0; partition < 2; partition++) {
                    write(producer, topic, partition, (number % 2 == 0 ? "commit-" : "abort-") + number);
                }
                TransactionDescription open = described(admin, id);
                Check.equal(TransactionState.ONGOING, open.state(), "state");
                Check.equal(number, open.producerEpoch(), "epoch");
                Check.equal(Set.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1)), open.topicPartitions(), "partitions");
                if (number % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
        produce(List.of(new ProducerRecord<>(topic, 0, null, "last"), new ProducerRecord<>(topic, 1, null, "last")), Map.of());
        List<String> expected = List.of("commit-0", "commit-0", "commit-2", "commit-2", "last", "last");
        Check.equal(expected, values(topic, 2, 6, COMMITTED), "committed");
        Check.equal(10, values(topic, 2, 10, Map.of()).size(), "all");
    }

    @Case("the old one of two producers with one transactional id is fenced at once")
    void fenced() throws Exception {
        String topic = createTopic(1);
        String id = unique("txn");
        try (KafkaProducer<String, String> old = transactional(id, Map.of())) {
            old.beginTransaction();
            write(old, topic, 0, "old");
            try (KafkaProducer<String, String> newer = transactional(id, Map.of())) {
                try {
                    old.send(new ProducerRecord<>(topic, 0, null, "late"));
                    old.commitTransaction();
                    throw new AssertionError("the old producer committed");
                } catch (ProducerFencedException | InvalidProducerEpochException refused) {
                    // As it has to be.
                }
                newer.beginTransaction();
                write(newer, topic, 0, "new");
                newer.commitTransaction();
            }
        }
        Check.equal(List.of("new"), values(topic, 1, 1, COMMITTED), "committed");
    }

    @Case("offsets are committed with the transaction or not at all")
    void offsets() throws Exception {
        String source = createTopic(1);
        String target = createTopic(1);
        String group = unique("group");
        TopicPartition partition = new TopicPartition(source, 0);
        produce(numbered(source, 1, 0, 3), Map.of());
        try (KafkaProducer<String, String> producer = transactional(unique("txn"), Map.of());
                KafkaConsumer<String, String> consumer = consumer(Map.of("group.id", group, "enable.auto.commit", "false"))) {
            consumer.subscribe(List.of(source));
            List<String> read = new ArrayList<>();
            Check.eventually(() -> {
                consumer.poll(Duration.ofMillis(200)).forEach(record -> read.add(record.value()));
                return read.size() == 3;
            }, () -> "3 records, got " + read);
            ConsumerGroupMetadata member = consumer.groupMetadata();
            producer.beginTransaction();
            write(producer, target, 0, "aborted");
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(1)), member);
            producer.abortTransaction();
            Check.equal(null, consumer.committed(Set.of(partition)).get(partition), "offset after the abort");
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(3)), member);
            write(producer, target, 0, "committed");
            producer.commitTransaction();
            Check.equal(3L, consumer.committed(Set.of(partition)).get(partition).offset(), "offset after the commit");
        }
        Check.equal(List.of("committed"), values(target, 1, 1, COMMITTED), "committed");
    }

    @Case("a transaction left open is seen, holds readers up, and is aborted when its time is over")
    void timeout() throws Exception {
        String topic = createTopic(1);
        String id = unique("txn");
        try (KafkaProducer<String, String> left = transactional(id, Map.of("transaction.timeout.ms", 1500)); Admin admin = Cluster.admin()) {
            left.beginTransaction();
            write(left, topic, 0, "left");
            produce(List.of(new ProducerRecord<>(topic, 0, null, "behind")), Map.of());
            Check.equal(TransactionState.ONGOING, described(admin, id).state(), "state");
            Check.equal(List.of("behind"), values(topic, 1, 1, COMMITTED), "committed");
            Check.equal(TransactionState.COMPLETE_ABORT, described(admin, id).state(), "state");
        }
    }

    @Case("the tool transactions lists, describes and aborts")
    void tool() throws Exception {
        String topic = createTopic(1);
        String id = unique("txn");
        try (KafkaProducer<String, String> producer = transactional(id, Map.of())) {
            producer.beginTransaction();
            write(producer, topic, 0, "left");
            String listed = ToolShell.ok(Tool.TRANSACTIONS, "--bootstrap-server", Cluster.BOOTSTRAP, "list", "--transactional-id-pattern", id);
            Check.equal(2, listed.lines().toList().size(), "lines in " + listed);
            Check.that(listed.contains("Ongoing"), "Ongoing in " + listed);
            String described =
                ToolShell.ok(Tool.TRANSACTIONS, "--bootstrap-server", Cluster.BOOTSTRAP, "describe", "--transactional-id", id);
            Check.that(described.contains(topic + "-0"), topic + "-0 in " + described);
            String producers = ToolShell.ok(Tool.TRANSACTIONS, "--bootstrap-server", Cluster.BOOTSTRAP,
                "describe-producers", "--topic", topic, "--partition", "0");
            String start = producers.lines().skip(1).findFirst().orElseThrow().trim().split("\\s+")[5];
            Check.equal("0", start, "start offset of the open transaction in " + producers);
            ToolShell.ok(Tool.TRANSACTIONS, "--bootstrap-server", Cluster.BOOTSTRAP,
                "abort", "--topic", topic, "--partition", "0", "--start-offset", start);
            produce(List.of(new ProducerRecord<>(topic, 0, null, "behind")), Map.of());
            Check.equal(List.of("behind"), values(topic, 1, 1, COMMITTED), "committed");
        }
    }
}
