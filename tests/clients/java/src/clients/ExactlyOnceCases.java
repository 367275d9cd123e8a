package clients;

import static clients.Cluster.createTopic;
import static clients.Cluster.unique;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Records copied in transactions that carry the offsets of their group, while the broker is killed again and again. */
final class ExactlyOnceCases {
    private static final int COPIERS = 2;
    private static final Pattern PROGRESS = Pattern.compile("\"totalProcessed\":(\\d+)");

    /** What a copier said: how many records it has copied so far, or that it has ended. */
    private record Said(int copier, int copied, boolean ended) {}

    private final BlockingQueue<Said> said = new LinkedBlockingQueue<>();

    @Case("what Kafka's copier copied in transactions is there once and in order after the broker was killed again and again")
    void copies() throws Exception {
        List<Process> copiers = new ArrayList<>();
        try (Broker broker = new Broker("copies")) {
            String bootstrap = broker.start();
            String source = Copies.source(bootstrap);
            String target = createTopic(bootstrap, Copies.PARTITIONS, Map.of());
            String group = unique("copiers");
            for (int copier = 0; copier < COPIERS; copier++) {
                copiers.add(copier(copier, bootstrap, source, target, group));
            }
            int kills = killMeanwhile(broker);
            for (Process copier : copiers) {
                Check.equal(0, copier.waitFor(), "exit of a copier");
            }
            Check.that(kills > 0 && kills >= Copies.records() / Copies.RECORDS_PER_KILL, "enough kills: " + kills);
            Copies.check(bootstrap, target);
            Copies.checkOffsets(bootstrap, group, source);
            System.out.printf("%d records by Kafka's copier, %d kills%n", Copies.records(), kills);
        } finally {
            copiers.forEach(Process::destroyForcibly);
        }
    }

    private Process copier(int number, String bootstrap, String source, String target, String group) throws Exception {
        Process copier = Tool.java(Tool.COPIER, "--broker-list", bootstrap, "--input-topic", source, "--input-partition", "0", "--output-topic", target,
            "--consumer-group", group, "--group-mode", "--use-group-metadata", "--transactional-id", unique("copier"), "--transaction-size", "750")
            .redirectError(ProcessBuilder.Redirect.DISCARD).start();
        Thread listener = new Thread(() -> {
            copier.inputReader().lines().map(PROGRESS::matcher).filter(Matcher::find)
                .forEach(progress -> said.add(new Said(number, Integer.parseInt(progress.group(1)), false)));
            said.add(new Said(number, 0, true));
        }, "copier");
        listener.start();
        return copier;
    }

    /** Kills and starts the broker until every copier has ended; returns how often. */
    private int killMeanwhile(Broker broker) throws Exception {
        int[] copied = new int[COPIERS];
        int kills = 0;
        for (int ended = 0; ended < COPIERS;) {
            Said next = said.poll(Tool.PATIENCE_SECONDS, TimeUnit.SECONDS);
            Check.that(next != null, "copiers go on after " + kills + " kills");
            if (next.ended) {
                ended++;
                continue;
            }
            copied[next.copier] = next.copied;
            if ((kills + 1) * Copies.RECORDS_PER_KILL <= copied[0] + copied[1]) {
                kills++;
                Copies.restart(broker);
            }
        }
        return kills;
    }
}
