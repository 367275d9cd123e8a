package clients;

import static clients.Cluster.createTopic;
import static clients.Cluster.numbered;
import static clients.Cluster.produce;
import static clients.Cluster.unique;
import static clients.Member.until;
import static clients.Member.untilShares;

import java.io.BufferedReader;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A consumer that dies without a word. */
final class TakeoverCases {
    /** What the child has told so far; guarded by {@link Member#CHANGED}. */
    private int share;
    private final Set<String> values = new HashSet<>();

    @Case("the partitions of a killed consumer are taken over after its session timeout, with no message lost")
    void takeover() throws Exception {
        String topic = createTopic(4);
        String group = unique("takeover");
        try (Member survivor = new Member(topic, group, Map.of())) {
            untilShares(List.of(survivor), List.of(4));
            Process child = Tool.java(Doomed.class.getName(), topic, group).redirectError(ProcessBuilder.Redirect.DISCARD).start();
            try {
                Thread listener = new Thread(() -> listen(child.inputReader()), "doomed");
                listener.start();
                until(() -> share == 2 && survivor.owned() != null && survivor.owned().size() == 2, () -> "2+2, the child has " + share);
                produce(numbered(topic, 4, 0, 200), Map.of());
                until(() -> !values.isEmpty(), () -> "the doomed member has read something");
                long died = System.nanoTime();
                child.destroyForcibly();
                produce(numbered(topic, 4, 200, 400), Map.of());
                until(() -> survivor.owned() != null && survivor.owned().size() == 4, () -> "all four, it owns " + survivor.owned(),
                    Duration.ofMillis(Member.SESSION_MS + 15_000));
                long elapsed = (System.nanoTime() - died) / 1_000_000;
                Check.that(elapsed >= Member.SESSION_MS - 2_000, "taken over after " + elapsed + " ms, before the session can have ended");
                listener.join();
                until(() -> {
                    Set<String> all = new HashSet<>(values);
                    all.addAll(survivor.values());
                    return all.size() == 400;
                }, () -> "400 messages, " + values.size() + " + " + survivor.values().size());
                for (int i = 200; i < 400; i++) {
                    Check.that(survivor.values().contains(Integer.toString(i)), i + " was sent after the kill and reached the survivor");
                }
            } finally {
                child.destroyForcibly();
            }
        }
    }

    private void listen(BufferedReader lines) {
        lines.lines().forEach(line -> {
            synchronized (Member.CHANGED) {
                if (line.startsWith("owned ")) {
                    share = Integer.parseInt(line.substring(6));
                } else {
                    values.add(line.substring(6));
                }
                Member.CHANGED.notifyAll();
            }
        });
    }
}
