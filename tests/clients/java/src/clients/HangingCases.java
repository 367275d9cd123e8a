package clients;

import static clients.Cluster.createTopic;
import static clients.Cluster.unique;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** A transaction that is open in a partition and that no coordinator knows any more, because its log was lost. */
final class HangingCases {
    @Case("the tool transactions finds a transaction that hangs and aborts it, and readers go on")
    void hanging() throws Exception {
        try (Broker broker = new Broker("hanging")) {
            String bootstrap = broker.start();
            String topic = createTopic(bootstrap, 1, Map.of());
            try (KafkaProducer<String, String> producer =
                    Cluster.producer(Map.of("bootstrap.servers", bootstrap, "transactional.id", unique("hanging")))) {
                producer.initTransactions();
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, "left")).get();
                broker.kill();
                producer.close(Duration.ZERO);
            }
            broker.lose("__transaction_state-");
            broker.start();

            List<List<String>> found = hanging(bootstrap, topic);
            Check.equal(1, found.size(), "transactions that hang in " + found);
            Check.equal(List.of(topic, "0"), found.get(0).subList(0, 2), "where one hangs");
            String producers = transactions(bootstrap, "describe-producers", "--topic", topic, "--partition", "0");
            Check.equal("0", producers.lines().skip(1).findFirst().orElseThrow().trim().split("\\s+")[5], "its start in " + producers);
            transactions(bootstrap, "abort", "--topic", topic, "--partition", "0", "--start-offset", "0");
            Check.equal(List.of(), hanging(bootstrap, topic), "transactions that hang");
            Check.equal(List.of(List.of()), Copies.committed(bootstrap, topic, 1), "committed");
        }
    }

    /** The rows of what hangs in a topic, however lately it was written to. */
    private static List<List<String>> hanging(String bootstrap, String topic) throws Exception {
        String found = transactions(bootstrap, "find-hanging", "--topic", topic, "--max-transaction-timeout", "0");
        List<List<String>> rows = new ArrayList<>();
        found.lines().skip(1).forEach(line -> rows.add(List.of(line.trim().split("\\s+"))));
        return rows;
    }

    private static String transactions(String bootstrap, String... words) throws Exception {
        List<String> all = new ArrayList<>(List.of("--bootstrap-server", bootstrap));
        all.addAll(List.of(words));
        return ToolShell.ok(Tool.TRANSACTIONS, all.toArray(String[]::new));
    }
}
