package clients;

import static clients.Cluster.createTopic;
import static clients.Cluster.numbered;
import static clients.Cluster.produce;
import static clients.Cluster.unique;
import static clients.Member.until;
import static clients.Member.untilShares;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InconsistentGroupProtocolException;
import org.apache.kafka.common.errors.InvalidSessionTimeoutException;

/** The classic group protocol: who owns what, and what each member is given. */
final class GroupCases {
    private static final List<List<Integer>> GROWING =
        List.of(List.of(4), List.of(2, 2), List.of(2, 1, 1), List.of(1, 1, 1, 1), List.of(1, 1, 1, 1, 0));

    private static void closeAll(List<Member> members) throws InterruptedException {
        for (Member member : members) {
            member.close();
        }
    }

    private static void shareFour(Class<?> assignor) throws Exception {
        String topic = createTopic(4);
        String group = unique("sharing");
        List<Member> members = new ArrayList<>();
        try {
            for (List<Integer> expected : GROWING) {
                members.add(new Member(topic, group, Map.of("partition.assignment.strategy", assignor.getName())));
                untilShares(members, expected);
            }
        } finally {
            closeAll(members);
        }
    }

    @Case("one to five members share four partitions (range)")
    void range() throws Exception {
        shareFour(RangeAssignor.class);
    }

    @Case("one to five members share four partitions (round robin)")
    void roundRobin() throws Exception {
        shareFour(RoundRobinAssignor.class);
    }

    @Case("one to five members share four partitions (sticky)")
    void sticky() throws Exception {
        shareFour(StickyAssignor.class);
    }

    @Case("one to five members share four partitions (cooperative)")
    void cooperative() throws Exception {
        shareFour(CooperativeStickyAssignor.class);
    }

    @Case("of four members and three partitions one stays idle; those who stay inherit")
    void idle() throws Exception {
        String topic = createTopic(3);
        String group = unique("idle");
        List<Member> members = new ArrayList<>();
        try {
            for (int i = 0; i < 4; i++) {
                members.add(new Member(topic, group, Map.of()));
            }
            untilShares(members, List.of(1, 1, 1, 0));
            members.remove(0).close();
            untilShares(members, List.of(1, 1, 1));
            members.remove(0).close();
            untilShares(members, List.of(2, 1));
        } finally {
            closeAll(members);
        }
    }

    @Case("two groups each receive every message")
    void twoGroups() throws Exception {
        String topic = createTopic(4);
        List<Member> north = List.of(new Member(topic, "north-" + topic, Map.of()), new Member(topic, "north-" + topic, Map.of()));
        List<Member> south = List.of(new Member(topic, "south-" + topic, Map.of()), new Member(topic, "south-" + topic, Map.of()));
        try {
            produce(numbered(topic, 4, 0, 200), Map.of());
            for (List<Member> members : List.of(north, south)) {
                until(() -> members.stream().flatMap(m -> m.values().stream()).collect(Collectors.toSet()).size() == 200,
                    () -> "200 messages, got " + members.stream().map(m -> m.values().size()).toList());
            }
        } finally {
            closeAll(north);
            closeAll(south);
        }
    }

    @Case("one partition and one consumer are a first-in first-out queue")
    void queue() throws Exception {
        String topic = createTopic(1);
        try (Member member = new Member(topic, unique("queue"), Map.of())) {
            produce(numbered(topic, 1, 0, 500), Map.of("batch.size", 200));
            until(() -> member.records().size() == 500, () -> "500 messages, got " + member.records().size());
            List<Long> offsets = member.records().stream().map(ConsumerRecord::offset).toList();
            Check.equal(IntStream.range(0, 500).mapToObj(i -> (long) i).toList(), offsets, "offsets");
            List<String> values = member.records().stream().map(ConsumerRecord::value).toList();
            Check.equal(IntStream.range(0, 500).mapToObj(Integer::toString).toList(), values, "values");
        }
    }

    @Case("order within a partition is kept while members join and leave")
    void order() throws Exception {
        String topic = createTopic(4);
        String group = unique("order");
        Map<Integer, Set<Integer>> firstSeen = new ConcurrentHashMap<>();
        List<String> disorder = new ArrayList<>();
        java.util.function.Consumer<ConsumerRecord<String, String>> onRecord = record -> {
            TreeSet<Integer> seen = (TreeSet<Integer>) firstSeen.computeIfAbsent(record.partition(), p -> new TreeSet<>());
            synchronized (seen) {
                int value = Integer.parseInt(record.value());
                if (!seen.isEmpty() && value > seen.last() + 4) {
                    disorder.add(record.partition() + ": " + value + " after " + seen.last());
                }
                seen.add(value);
            }
        };
        try (Member first = new Member(topic, group, Map.of(), onRecord)) {
            produce(numbered(topic, 4, 0, 200), Map.of());
            Member second = new Member(topic, group, Map.of(), onRecord);
            produce(numbered(topic, 4, 200, 400), Map.of());
            untilShares(List.of(first, second), List.of(2, 2));
            second.close();
            produce(numbered(topic, 4, 400, 600), Map.of());
            until(() -> firstSeen.values().stream().mapToInt(Set::size).sum() == 600, () -> "600 messages");
        }
        Check.equal(List.of(), disorder, "messages out of order");
    }

    @Case("a group resumes where it committed, with the metadata it left")
    void resume() throws Exception {
        String topic = createTopic(1);
        String group = unique("resume");
        TopicPartition partition = new TopicPartition(topic, 0);
        produce(numbered(topic, 1, 0, 10), Map.of());
        try (var consumer = Cluster.consumer(Map.of("group.id", group, "enable.auto.commit", false))) {
            consumer.subscribe(List.of(topic));
            Check.eventually(() -> !consumer.poll(Duration.ofMillis(100)).isEmpty(), () -> "the first records");
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(6, "six are done")));
        }
        try (Member second = new Member(topic, group, Map.of("enable.auto.commit", false))) {
            until(() -> second.records().size() >= 4, () -> "four messages, got " + second.records().size());
            Check.equal(List.of(6L, 7L, 8L, 9L), second.records().stream().map(ConsumerRecord::offset).toList(), "resumed at six");
        }
        try (var admin = Cluster.admin()) {
            OffsetAndMetadata kept = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition);
            Check.equal(6L, kept.offset(), "committed offset");
            Check.equal("six are done", kept.metadata(), "metadata");
        }
    }

    @Case("a static member returns without a rebalance")
    void staticMember() throws Exception {
        String topic = createTopic(4);
        String group = unique("static");
        Map<String, Object> range = Map.of("partition.assignment.strategy", RangeAssignor.class.getName());
        var names = new TreeMap<String, Object>(range);
        try (Member stays = new Member(topic, group, with(names, "group.instance.id", "stays"))) {
            untilShares(List.of(stays), List.of(4));
            Member leaves = new Member(topic, group, with(names, "group.instance.id", "leaves"));
            untilShares(List.of(stays, leaves), List.of(2, 2));
            Set<Integer> before = leaves.owned();
            int rebalances = stays.rebalances();
            int generation = stays.generation();
            leaves.close(); // A static member does not leave its group by closing.
            try (Member returned = new Member(topic, group, with(names, "group.instance.id", "leaves"))) {
                until(() -> before.equals(returned.owned()), () -> before + " again, it owns " + returned.owned());
                produce(numbered(topic, 4, 0, 8), Map.of());
                until(() -> stays.values().size() == 4 && returned.values().size() == 4, () -> "four messages each");
                Check.equal(rebalances, stays.rebalances(), "the other member's rebalances");
                Check.equal(generation, stays.generation(), "the generation of the member that stayed");
                until(() -> returned.generation() == generation, () -> "the same generation, it is in " + returned.generation());
            }
        }
    }

    private static Map<String, Object> with(Map<String, Object> config, String key, Object value) {
        Map<String, Object> all = new TreeMap<>(config);
        all.put(key, value);
        return all;
    }

    @Case("a second static member of the same name fences the first")
    void fenced() throws Exception {
        String topic = createTopic(2);
        String group = unique("fenced");
        try (Member first = new Member(topic, group, Map.of("group.instance.id", "twin"))) {
            untilShares(List.of(first), List.of(2));
            try (Member second = new Member(topic, group, Map.of("group.instance.id", "twin"))) {
                untilShares(List.of(second), List.of(2));
                until(() -> first.failure() != null, () -> "the first is fenced");
                Check.that(first.failure() instanceof FencedInstanceIdException, "fenced, not " + first.failure());
            }
        }
    }

    @Case("a member without a protocol in common with its group is refused")
    void protocols() throws Exception {
        String topic = createTopic(2);
        String group = unique("protocols");
        try (Member member = new Member(topic, group, Map.of("partition.assignment.strategy", RangeAssignor.class.getName()))) {
            untilShares(List.of(member), List.of(2));
            try (Member stranger = new Member(topic, group, Map.of("partition.assignment.strategy", RoundRobinAssignor.class.getName()))) {
                until(() -> stranger.failure() != null, () -> "a refusal");
                Check.that(stranger.failure() instanceof InconsistentGroupProtocolException, "refused, not " + stranger.failure());
            }
            Check.equal(Set.of(0, 1), member.owned(), "the group itself is not disturbed");
        }
    }

    @Case("a session timeout below the broker's minimum is refused")
    void hasty() throws Exception {
        Map<String, Object> hasty = Map.of("session.timeout.ms", 100, "heartbeat.interval.ms", 50);
        try (Member member = new Member(createTopic(1), unique("hasty"), hasty)) {
            until(() -> member.failure() != null, () -> "a refusal");
            Check.that(member.failure() instanceof InvalidSessionTimeoutException, "refused, not " + member.failure());
        }
    }
}
