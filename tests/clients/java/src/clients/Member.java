package clients;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;

/**
 * One member of a group, polling on a thread of its own. What it owns and what it was given is guarded by {@link #CHANGED}, which is notified of
 * every change: {@link #until} waits for it.
 */
final class Member implements AutoCloseable {
    static final int SESSION_MS = 6_000; // The least that Kafka's default group.min.session.timeout.ms allows.
    static final int HEARTBEAT_MS = 300;
    static final Object CHANGED = new Object();

    private final KafkaConsumer<String, String> consumer;
    private final Thread thread;
    private final boolean cooperative;
    private final Consumer<ConsumerRecord<String, String>> onRecord;
    private Set<Integer> owned;
    private int rebalances;
    private int generation = -1;
    private Exception failure;
    private final List<ConsumerRecord<String, String>> records = new ArrayList<>();
    private volatile boolean closing;

    Member(String topic, String group, Map<String, Object> config) {
        this(topic, group, config, record -> {});
    }

    Member(String topic, String group, Map<String, Object> config, Consumer<ConsumerRecord<String, String>> onRecord) {
        Map<String, Object> all = new HashMap<>(Map.of(
            "group.id", group,
            "session.timeout.ms", SESSION_MS,
            "heartbeat.interval.ms", HEARTBEAT_MS,
            "fetch.max.wait.ms", 100));
        all.putAll(config);
        this.onRecord = onRecord;
        cooperative = String.valueOf(all.get("partition.assignment.strategy")).contains("Cooperative");
        consumer = Cluster.consumer(all);
        consumer.subscribe(List.of(topic), new Listener());
        thread = new Thread(this::run, group);
        thread.start();
    }

    private void run() {
        try (consumer) {
            while (!closing) {
                var polled = consumer.poll(Duration.ofMillis(100));
                polled.forEach(onRecord);
                synchronized (CHANGED) {
                    polled.forEach(records::add);
                    generation = consumer.groupMetadata().generationId();
                    CHANGED.notifyAll();
                }
            }
        } catch (WakeupException asked) {
            // close() asks for it.
        } catch (RuntimeException thrown) {
            synchronized (CHANGED) {
                failure = thrown;
                CHANGED.notifyAll();
            }
        }
    }

    @Override
    public void close() throws InterruptedException {
        closing = true;
        consumer.wakeup();
        thread.join();
        synchronized (CHANGED) {
            owned = new TreeSet<>();
            CHANGED.notifyAll();
        }
    }

    /** What it owns now; null before it is told. */
    Set<Integer> owned() {
        synchronized (CHANGED) {
            return owned == null ? null : new TreeSet<>(owned);
        }
    }

    int rebalances() {
        synchronized (CHANGED) {
            return rebalances;
        }
    }

    int generation() {
        synchronized (CHANGED) {
            return generation;
        }
    }

    Exception failure() {
        synchronized (CHANGED) {
            return failure;
        }
    }

    List<ConsumerRecord<String, String>> records() {
        synchronized (CHANGED) {
            return List.copyOf(records);
        }
    }

    Set<String> values() {
        Set<String> values = new HashSet<>();
        records().forEach(record -> values.add(record.value()));
        return values;
    }

    private final class Listener implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
            synchronized (CHANGED) {
                Set<Integer> now = cooperative && owned != null ? owned : new TreeSet<>();
                assigned.forEach(partition -> now.add(partition.partition()));
                owned = now;
                rebalances++;
                generation = consumer.groupMetadata().generationId();
                CHANGED.notifyAll();
            }
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            synchronized (CHANGED) {
                if (cooperative && owned != null) {
                    revoked.forEach(partition -> owned.remove(partition.partition()));
                } else {
                    owned = null; // An eager member owns nothing until it is told again what it owns.
                }
                CHANGED.notifyAll();
            }
        }
    }

    /** How many partitions each member owns, most first; null while a partition has no owner or two. */
    static List<Integer> shares(List<Member> members, int partitions) {
        List<Integer> all = new ArrayList<>();
        List<Integer> shares = new ArrayList<>();
        for (Member member : members) {
            Set<Integer> owned = member.owned();
            if (owned == null) {
                return null;
            }
            all.addAll(owned);
            shares.add(owned.size());
        }
        shares.sort((a, b) -> b - a);
        return all.size() == partitions && new HashSet<>(all).size() == partitions ? shares : null;
    }

    static void untilShares(List<Member> members, List<Integer> expected) throws InterruptedException {
        int partitions = expected.stream().mapToInt(Integer::intValue).sum();
        until(() -> expected.equals(shares(members, partitions)),
            () -> "shares " + expected + "; they own " + members.stream().map(Member::owned).toList());
    }

    static void until(BooleanSupplier condition, Supplier<String> what) throws InterruptedException {
        until(condition, what, Check.PATIENCE);
    }

    static void until(BooleanSupplier condition, Supplier<String> what, Duration patience) throws InterruptedException {
        long deadline = System.nanoTime() + patience.toNanos();
        synchronized (CHANGED) {
            while (!condition.getAsBoolean()) {
                long left = (deadline - System.nanoTime()) / 1_000_000;
                if (left <= 0) {
                    throw new AssertionError("not within " + patience.toSeconds() + " s: " + what.get());
                }
                CHANGED.wait(left);
            }
        }
    }
}
