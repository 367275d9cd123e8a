package clients;

import static clients.Cluster.createTopic;
import static clients.Cluster.numbered;
import static clients.Cluster.produce;
import static clients.Cluster.unique;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;

/** Positions: found by time, committed, trimmed and refused. */
final class OffsetCases {
    @Case("ListOffsets finds the ends, the largest timestamp and any time")
    void byTimestamp() throws Exception {
        String topic = createTopic(Cluster.BOOTSTRAP, 1, Cluster.KEEP);
        TopicPartition partition = new TopicPartition(topic, 0);
        for (List<Long> batch : List.of(List.of(1000L, 2000L, 3000L), List.of(5000L, 4000L))) {
            produce(batch.stream().map(t -> new ProducerRecord<String, String>(topic, 0, t, null, "v")).toList(), Map.of("linger.ms", 100));
        }
        try (var admin = Cluster.admin()) {
            Map<OffsetSpec, Long> expected = Map.of(
                OffsetSpec.earliest(), 0L, OffsetSpec.latest(), 5L, OffsetSpec.maxTimestamp(), 3L,
                OffsetSpec.forTimestamp(0), 0L, OffsetSpec.forTimestamp(1001), 1L, OffsetSpec.forTimestamp(3000), 2L,
                OffsetSpec.forTimestamp(3001), 3L, OffsetSpec.forTimestamp(5001), -1L);
            for (var pair : expected.entrySet()) {
                long found = admin.listOffsets(Map.of(partition, pair.getKey())).all().get().get(partition).offset();
                Check.equal(pair.getValue(), found, pair.getKey().getClass().getSimpleName());
            }
        }
        try (var consumer = Cluster.consumer(Map.of())) {
            var found = consumer.offsetsForTimes(Map.of(partition, 2500L)).get(partition);
            Check.equal(2L, found.offset(), "offset for a time");
            Check.equal(3000L, found.timestamp(), "its timestamp");
            Check.equal(Map.of(partition, 5L), consumer.endOffsets(List.of(partition)), "end");
        }
    }

    @Case("records below an offset can be deleted, and a reader below it is told so")
    void deleteRecords() throws Exception {
        String topic = createTopic(1);
        TopicPartition partition = new TopicPartition(topic, 0);
        produce(numbered(topic, 1, 0, 10), Map.of());
        try (var admin = Cluster.admin(); var consumer = Cluster.consumer(Map.of("auto.offset.reset", "none"))) {
            long low = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4))).lowWatermarks().get(partition).get().lowWatermark();
            Check.equal(4L, low, "low watermark");
            Check.equal(Map.of(partition, 4L), consumer.beginningOffsets(List.of(partition)), "beginning");
            Check.refused(org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
                () -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(100))).all().get());
            consumer.assign(List.of(partition));
            consumer.seek(partition, 1);
            Check.refused(OffsetOutOfRangeException.class, () -> {
                Check.eventually(() -> !consumer.poll(Duration.ofMillis(100)).isEmpty(), () -> "an answer");
                return "records";
            });
            consumer.seek(partition, 4);
            var records = new java.util.ArrayList<ConsumerRecord<String, String>>();
            Check.eventually(() -> {
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
                return records.size() == 6;
            }, () -> "six records, got " + records.size());
        }
    }

    @Case("the offsets of a group are altered, listed and deleted with it")
    void groupOffsets() throws Exception {
        String topic = createTopic(2);
        String group = unique("altered");
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        produce(numbered(topic, 2, 0, 10), Map.of());
        try (var admin = Cluster.admin()) {
            admin.alterConsumerGroupOffsets(group, Map.of(zero, new OffsetAndMetadata(3), one, new OffsetAndMetadata(5))).all().get();
            Member member = new Member(topic, group, Map.of("enable.auto.commit", false));
            Member.until(() -> member.records().size() == 2, () -> "two records, got " + member.records().size());
            Check.equal(List.of(3L, 4L), member.records().stream().map(ConsumerRecord::offset).toList(), "offsets");
            Check.refused(GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get());
            member.close();
            admin.deleteConsumerGroupOffsets(group, java.util.Set.of(one)).all().get();
            var left = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            Check.equal(3L, left.get(zero).offset(), "kept");
            Check.that(left.get(one) == null, "deleted");
            admin.deleteConsumerGroups(List.of(group)).all().get();
            Check.refused(GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get());
        }
    }
}
