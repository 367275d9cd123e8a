package clients;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The broker under test; topics and groups have names of their own, so that cases may run beside each other. */
final class Cluster {
    /** Timestamps of long ago outlive the broker's retention only where it is switched off. */
    static final Map<String, String> KEEP = Map.of("retention.ms", "-1");
    static final String BOOTSTRAP = required("OTTLA_BOOTSTRAP");

    static String required(String variable) {
        String value = System.getenv(variable);
        if (value == null) {
            throw new IllegalStateException(variable + " is not set");
        }
        return value;
    }

    static String unique(String prefix) {
        return prefix + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    static Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", BOOTSTRAP));
    }

    static String createTopic(int partitions) throws Exception {
        return createTopic(BOOTSTRAP, partitions, Map.of());
    }

    static String createTopic(String bootstrap, int partitions, Map<String, String> config) throws Exception {
        String topic = unique("java");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(config))).all().get();
            describe(admin, topic);
        }
        return topic;
    }

    /** Asks until the broker knows the topic: Kafka answers a creation a moment before its brokers have heard of it. */
    static TopicDescription describe(Admin admin, String topic) throws Exception {
        TopicDescription[] described = new TopicDescription[1];
        Check.eventually(() -> {
            try {
                described[0] = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            } catch (ExecutionException refused) {
                if (!(refused.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw refused;
                }
            }
            return described[0] != null;
        }, () -> "a description of " + topic);
        return described[0];
    }

    static KafkaProducer<String, String> producer(Map<String, Object> config) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", BOOTSTRAP));
        all.putAll(config);
        return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(Map<String, Object> config) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", BOOTSTRAP, "auto.offset.reset", "earliest"));
        all.putAll(config);
        return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
    }

    /** Sends everything, and returns the acknowledgements in the order of sending. */
    static List<RecordMetadata> produce(List<ProducerRecord<String, String>> records, Map<String, Object> config)
            throws InterruptedException, ExecutionException {
        try (KafkaProducer<String, String> producer = producer(config)) {
            List<Future<RecordMetadata>> pending = records.stream().map(producer::send).toList();
            producer.flush();
            List<RecordMetadata> answers = new ArrayList<>();
            for (Future<RecordMetadata> answer : pending) {
                answers.add(answer.get());
            }
            return answers;
        }
    }

    /** The values 0, 1, 2, … as one record each, spread over the partitions in turn. */
    static List<ProducerRecord<String, String>> numbered(String topic, int partitions, int from, int to) {
        return IntStream.range(from, to)
            .mapToObj(i -> new ProducerRecord<String, String>(topic, i % partitions, null, Integer.toString(i)))
            .toList();
    }

    /** Reads this many records from the beginning of the partitions, without a group. */
    static List<ConsumerRecord<String, String>> readAssigned(String topic, int partitions, int count) throws Exception {
        try (KafkaConsumer<String, String> consumer = consumer(Map.of())) {
            List<TopicPartition> all = IntStream.range(0, partitions).mapToObj(p -> new TopicPartition(topic, p)).toList();
            consumer.assign(all);
            consumer.seekToBeginning(all);
            List<ConsumerRecord<String, String>> read = new ArrayList<>();
            Check.eventually(() -> {
                consumer.poll(Duration.ofMillis(200)).forEach(read::add);
                return read.size() >= count;
            }, () -> count + " records, got " + read.size());
            return read;
        }
    }

    private Cluster() {}
}
