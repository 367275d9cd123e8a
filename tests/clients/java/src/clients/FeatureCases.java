package clients;

import static clients.Cluster.createTopic;
import static clients.Cluster.unique;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** The feature {@code transaction.version}, by which Java's producer chooses its protocol; a broker of its own, since it is the whole cluster's. */
final class FeatureCases {
    private static final String FEATURE = "transaction.version";

    @Case("the tool features sets transaction.version, and producers speak the protocol of its level")
    void levels() throws Exception {
        try (Broker broker = new Broker("features")) {
            String bootstrap = broker.start();
            String topic = createTopic(bootstrap, 1, Map.of());
            List<String> expected = new ArrayList<>();
            for (String step : List.of("downgrade 1", "downgrade 0", "upgrade 1", "upgrade 2")) {
                String level = step.split(" ")[1];
                features(bootstrap, step.split(" ")[0], "--feature", FEATURE + "=" + level);
                told(bootstrap, level);
                List<Integer> epochs = epochs(bootstrap, topic, level);
                Check.equal(level.equals("2") ? List.of(0, 1, 2) : List.of(0, 0, 0), epochs, "epochs at level " + level);
                expected.addAll(List.of("commit-" + level + "-0", "commit-" + level + "-2"));
            }
            broker.kill();
            broker.start();
            told(bootstrap, "2");
            Check.equal(List.of(expected), Copies.committed(bootstrap, topic, 1), "committed");
        }
    }

    /** Commits, aborts and commits; the epoch of each transaction. */
    private static List<Integer> epochs(String bootstrap, String topic, String level) throws Exception {
        String id = unique("features");
        List<Integer> epochs = new ArrayList<>();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
                KafkaProducer<String, String> producer = Cluster.producer(Map.of("bootstrap.servers", bootstrap, "transactional.id", id))) {
            producer.initTransactions();
            for (int number = 0; number < 3; number++) {
                boolean commits = number != 1;
                producer.beginTransaction();
                String value = (commits ? "commit-" : "abort-") + level + "-" + number;
                producer.send(new ProducerRecord<>(topic, value)).get();
                epochs.add(admin.describeTransactions(List.of(id)).description(id).get().producerEpoch());
                if (commits) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
        return epochs;
    }

    /** Waits until clients are told of the level. */
    private static void told(String bootstrap, String level) throws Exception {
        String[] row = new String[1];
        Check.eventually(() -> {
            row[0] = features(bootstrap, "describe").lines().filter(line -> line.contains(FEATURE)).findFirst().orElse("");
            return row[0].matches(".*FinalizedVersionLevel: " + level + "\\s.*");
        }, () -> "level " + level + ", got " + row[0]);
    }

    private static String features(String bootstrap, String... words) throws Exception {
        List<String> all = new ArrayList<>(List.of("--bootstrap-server", bootstrap));
        all.addAll(List.of(words));
        return ToolShell.ok(Tool.FEATURES, all.toArray(String[]::new));
    }
}
