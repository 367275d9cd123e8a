package clients;

import static clients.Cluster.BOOTSTRAP;
import static clients.Cluster.createTopic;
import static clients.Cluster.numbered;
import static clients.Cluster.produce;
import static clients.Cluster.unique;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Kafka's own command line tools, pointed at the broker: those that send and read records in processes of their own, the others in one. */
final class ToolCases {
    private static String[] here(String... args) {
        return Stream.concat(Stream.of("--bootstrap-server", BOOTSTRAP), Arrays.stream(args)).toArray(String[]::new);
    }

    private static String client(String main, String... args) throws Exception {
        return Tool.ok(main, here(args));
    }

    private static String tool(String main, String... args) throws Exception {
        return ToolShell.ok(main, here(args));
    }

    /** What a tool says that must not succeed. */
    private static String refused(String main, String... args) throws Exception {
        Tool done = ToolShell.run(main, here(args));
        Check.equal(1, done.exit(), main + " " + List.of(args) + " is refused: " + done.out() + done.err());
        return done.out() + done.err();
    }

    private static void contains(String part, String text) {
        Check.that(text.contains(part), "'" + part + "' in\n" + text);
    }

    /** A file for a tool to read. */
    private static String file(String text) throws Exception {
        Path file = Files.createTempFile("tool", null);
        file.toFile().deleteOnExit();
        return Files.writeString(file, text).toString();
    }

    private static List<String> lines(String text) {
        return text.lines().filter(line -> !line.isBlank()).toList();
    }

    @Case("topics: create, list, describe, alter, delete")
    void topics() throws Exception {
        String topic = unique("tool");
        Check.that(tool(Tool.TOPICS, "--create", "--topic", topic, "--partitions", "4").contains("Created topic " + topic), "created");
        Check.that(lines(tool(Tool.TOPICS, "--list")).contains(topic), "listed");
        String described = tool(Tool.TOPICS, "--describe", "--topic", topic);
        Check.that(described.contains("PartitionCount: 4"), described);
        Check.equal(4L, described.lines().filter(line -> line.contains("Leader: ") && !line.contains("Leader: none")).count(), "leaders in " + described);
        tool(Tool.TOPICS, "--alter", "--topic", topic, "--partitions", "6");
        Check.that(tool(Tool.TOPICS, "--describe", "--topic", topic).contains("PartitionCount: 6"), "six partitions");
        tool(Tool.TOPICS, "--delete", "--topic", topic);
        Check.that(!lines(tool(Tool.TOPICS, "--list")).contains(topic), "deleted");
    }

    @Case("configs: alter and describe")
    void configs() throws Exception {
        String topic = createTopic(1);
        tool(Tool.CONFIGS, "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", "retention.ms=123456");
        String described = tool(Tool.CONFIGS, "--describe", "--entity-type", "topics", "--entity-name", topic);
        Check.that(described.contains("retention.ms=123456"), described);
    }

    @Case("console-producer and console-consumer: keyed lines there and back")
    void console() throws Exception {
        String topic = createTopic(2);
        List<String> sent = IntStream.range(0, 20).mapToObj(i -> "k" + i % 3 + ":line " + i).toList();
        Tool produced = Tool.run(String.join("\n", sent) + "\n", Tool.CONSOLE_PRODUCER, "--bootstrap-server", BOOTSTRAP, "--topic", topic,
            "--reader-property", "parse.key=true", "--reader-property", "key.separator=:");
        Check.equal(0, produced.exit(), "exit of the console producer: " + produced.err());
        String read = client(Tool.CONSOLE_CONSUMER, "--topic", topic, "--from-beginning", "--max-messages", "20", "--timeout-ms", "30000",
            "--formatter-property", "print.key=true", "--formatter-property", "key.separator=:");
        Check.equal(sent.stream().sorted().toList(), lines(read).stream().sorted().toList(), "lines");
    }

    @Case("consumer-groups: list, describe, reset-offsets, delete")
    void groups() throws Exception {
        String topic = createTopic(1);
        String group = unique("tool-group");
        produce(numbered(topic, 1, 0, 10), Map.of());
        String read = client(Tool.CONSOLE_CONSUMER, "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "10", "--timeout-ms", "30000");
        Check.equal(10, lines(read).size(), "records read by the group");
        Check.that(lines(tool(Tool.GROUPS, "--list")).contains(group), "listed");
        Check.equal(List.of("10", "10", "0"), position(topic, tool(Tool.GROUPS, "--describe", "--group", group)), "offset, end and lag");
        tool(Tool.GROUPS, "--reset-offsets", "--group", group, "--topic", topic, "--to-offset", "4", "--execute");
        Check.equal(List.of("4", "10", "6"), position(topic, tool(Tool.GROUPS, "--describe", "--group", group)), "offset, end and lag");
        Check.that(tool(Tool.GROUPS, "--delete", "--group", group).contains("successful"), "deleted");
        Check.that(!lines(tool(Tool.GROUPS, "--list")).contains(group), "gone");
    }

    /** CURRENT-OFFSET, LOG-END-OFFSET and LAG of the topic in what `--describe` prints (GROUP TOPIC PARTITION CURRENT END LAG …). */
    private static List<String> position(String topic, String described) {
        for (String line : lines(described)) {
            String[] words = line.trim().split("\\s+");
            if (words.length > 5 && words[1].equals(topic)) {
                return List.of(words[3], words[4], words[5]);
            }
        }
        throw new AssertionError("no line for " + topic + " in\n" + described);
    }

    @Case("producer-perf, get-offsets and consumer-perf")
    void perf() throws Exception {
        String topic = createTopic(3);
        String sent = Tool.ok(Tool.PRODUCER_PERF, "--topic", topic, "--num-records", "20000", "--record-size", "500", "--throughput", "-1",
            "--bootstrap-server", BOOTSTRAP, "--command-property", "acks=all", "compression.type=lz4");
        Check.that(sent.contains("20000 records sent"), sent);
        Check.equal(20000L, total(tool(Tool.GET_OFFSETS, "--topic", topic)), "sum of the ends");
        Check.equal(0L, total(tool(Tool.GET_OFFSETS, "--topic", topic, "--time", "earliest")), "sum of the beginnings");
        String read = client(Tool.CONSUMER_PERF, "--topic", topic, "--num-records", "20000", "--timeout", "30000");
        String[] columns = lines(read).get(lines(read).size() - 1).split(",");
        Check.equal("20000", columns[4].trim(), "records consumed in " + read);
    }

    private static long total(String offsets) {
        return lines(offsets).stream().mapToLong(line -> Long.parseLong(line.substring(line.lastIndexOf(':') + 1))).sum();
    }

    @Case("verifiable-producer and verifiable-consumer")
    void verifiable() throws Exception {
        String topic = createTopic(3);
        String sent = Tool.ok(Tool.VERIFIABLE_PRODUCER, "--bootstrap-server", BOOTSTRAP, "--topic", topic, "--max-messages", "1000");
        Check.equal(1000L, sent.lines().filter(line -> line.contains("producer_send_success")).count(), "acknowledged");
        String read = client(Tool.VERIFIABLE_CONSUMER, "--topic", topic, "--group-id", unique("verifiable"), "--reset-policy", "earliest",
            "--max-messages", "1000");
        Check.that(read.contains("offsets_committed") && read.contains("\"success\":true"), read);
    }

    @Case("e2e-latency")
    void latency() throws Exception {
        String measured = client(Tool.E2E_LATENCY, "--topic", createTopic(1), "--num-records", "50", "--producer-acks", "all", "--record-size", "100");
        contains("Avg latency: ", measured);
    }

    @Case("delete-records, log-dirs, get-offsets")
    void records() throws Exception {
        String topic = createTopic(BOOTSTRAP, 1, Cluster.KEEP);
        // Record 8 is the newest.
        produce(IntStream.range(0, 10).mapToObj(i -> new ProducerRecord<String, String>(topic, 0, i == 8 ? 99L : i, null, "v")).toList(), Map.of());
        String plan = file("{\"version\":1,\"partitions\":[{\"topic\":\"" + topic + "\",\"partition\":0,\"offset\":7}]}");
        contains("low_watermark: 7", tool(Tool.DELETE_RECORDS, "--offset-json-file", plan));
        Check.equal(List.of(topic + ":0:7"), lines(tool(Tool.GET_OFFSETS, "--topic", topic, "--time", "earliest")), "first offset");
        Check.equal(List.of(topic + ":0:10"), lines(tool(Tool.GET_OFFSETS, "--topic", topic, "--time", "latest")), "next offset");
        Check.equal(List.of(topic + ":0:8"), lines(tool(Tool.GET_OFFSETS, "--topic", topic, "--time", "max-timestamp")), "newest record");
        String described = tool(Tool.LOG_DIRS, "--describe", "--topic-list", topic);
        contains("\"partition\":\"" + topic + "-0\",\"size\":", described);
        Check.that(!described.contains("\"size\":0,"), "its size is known: " + described);
    }

    @Case("broker-api-versions prints what kafka-compat.md says")
    void versions() throws Exception {
        Map<String, String> ottla = new TreeMap<>();
        Map<String, String> kafka = new TreeMap<>();
        for (String line : Files.readAllLines(Path.of(System.getProperty("ottla.clients"), "../../docs/kafka-compat.md"))) {
            String[] cells = line.split(" *\\| *");
            if (cells.length > 4 && cells[1].matches("\\d+")) {
                kafka.put(cells[2] + "(" + cells[1] + ")", cells[3]);
                if (cells[4].matches("\\d.*")) {
                    ottla.put(cells[2] + "(" + cells[1] + ")", cells[4]);
                }
            }
        }
        Map<String, String> printed = new TreeMap<>();
        var line = Pattern.compile("(\\w+\\(\\d+\\)): (\\d+)(?: to (\\d+))? ").matcher(tool(Tool.API_VERSIONS));
        while (line.find()) {
            printed.put(line.group(1), line.group(3) == null ? line.group(2) : line.group(2) + "-" + line.group(3));
        }
        // Kafka lists these two with a plugin that takes client metrics only.
        kafka.keySet().removeAll(List.of("GetTelemetrySubscriptions(71)", "PushTelemetry(72)"));
        Check.that(printed.equals(ottla) || printed.equals(kafka), "printed\n" + printed + "\nOttla\n" + ottla + "\nKafka\n" + kafka);
    }

    @Case("cluster, metadata-quorum and features describe one node")
    void cluster() throws Exception {
        Check.that(ToolShell.ok(Tool.CLUSTER, "cluster-id", "--bootstrap-server", BOOTSTRAP).startsWith("Cluster ID: "), "cluster id");
        contains("unfenced   broker", ToolShell.ok(Tool.CLUSTER, "list-endpoints", "--bootstrap-server", BOOTSTRAP));
        Map<String, String> status = new TreeMap<>();
        for (String line : lines(tool(Tool.QUORUM, "describe", "--status"))) {
            String[] pair = line.split(": +", 2);
            status.put(pair[0], pair[1]);
        }
        String leader = status.get("LeaderId");
        Check.that(status.get("CurrentVoters").startsWith("[{\"id\": " + leader), "the leader votes: " + status);
        Check.equal("[]", status.get("CurrentObservers"), "observers");
        Check.that(Long.parseLong(status.get("HighWatermark")) > 0, "something is committed: " + status);
        List<String> replicas = lines(tool(Tool.QUORUM, "describe", "--replication"));
        Check.equal(2, replicas.size(), "a title and one replica: " + replicas);
        Check.that(replicas.get(1).startsWith(leader) && replicas.get(1).contains("Leader"), "it leads: " + replicas);
        tool(Tool.FEATURES, "describe");
    }

    @Case("acls and delegation-tokens are told that nothing is secured")
    void security() throws Exception {
        contains("No Authorizer is configured on the broker", refused(Tool.ACLS, "--list"));
        contains("No Authorizer is configured",
            refused(Tool.ACLS, "--add", "--allow-principal", "User:a", "--operation", "Read", "--topic", "t"));
        contains("No Authorizer is configured",
            refused(Tool.ACLS, "--remove", "--force", "--allow-principal", "User:a", "--operation", "Read", "--topic", "t"));
        String empty = file("");
        for (String action : List.of("--describe", "--create --max-life-time-period -1", "--renew --renew-time-period -1 --hmac AAAA",
                "--expire --expiry-time-period -1 --hmac AAAA")) {
            String[] words = (action + " --command-config " + empty).split(" ");
            contains("Delegation Token requests are not allowed on PLAINTEXT", refused(Tool.DELEGATION_TOKENS, words));
        }
    }

    @Case("leader-election and reassign-partitions find nothing to do on one node")
    void replicas() throws Exception {
        String topic = createTopic(2);
        tool(Tool.ELECTION, "--election-type", "preferred", "--all-topic-partitions");
        contains("Valid replica already elected for partitions " + topic + "-0",
            tool(Tool.ELECTION, "--election-type", "preferred", "--topic", topic, "--partition", "0"));
        contains("No such topic as nope", refused(Tool.ELECTION, "--election-type", "unclean", "--topic", "nope", "--partition", "0"));
        String topics = file("{\"version\":1,\"topics\":[{\"topic\":\"" + topic + "\"}]}");
        String broker = ToolShell.ok(Tool.CLUSTER, "list-endpoints", "--bootstrap-server", BOOTSTRAP).lines().skip(1).findFirst().orElseThrow().split(" ")[0];
        String proposed = tool(Tool.REASSIGN, "--generate", "--topics-to-move-json-file", topics, "--broker-list", broker);
        String plan = file(lines(proposed).get(3));
        contains("Successfully started partition reassignments for " + topic + "-0," + topic + "-1",
            tool(Tool.REASSIGN, "--execute", "--reassignment-json-file", plan));
        contains("Reassignment of partition " + topic + "-0 is completed", tool(Tool.REASSIGN, "--verify", "--reassignment-json-file", plan));
        contains("None of the specified partition reassignments are active", tool(Tool.REASSIGN, "--cancel", "--reassignment-json-file", plan));
        contains("No partition reassignments found", tool(Tool.REASSIGN, "--list"));
    }

    @Case("transactions: an unknown one is not found, and producers are listed")
    void transactions() throws Exception {
        String topic = createTopic(1);
        produce(numbered(topic, 1, 0, 3), Map.of());
        Check.equal(1, lines(tool(Tool.TRANSACTIONS, "list", "--transactional-id-pattern", "nope")).size(), "lines: only the title");
        List<String> producers = lines(tool(Tool.TRANSACTIONS, "describe-producers", "--topic", topic, "--partition", "0"));
        Check.equal("2", producers.get(1).split("\\s+")[3], "last sequence in " + producers);
        Check.equal(1, lines(tool(Tool.TRANSACTIONS, "find-hanging", "--topic", topic)).size(), "lines: only the title");
        contains("Failed to describe transaction state of transactional-id `nope`", refused(Tool.TRANSACTIONS, "describe", "--transactional-id", "nope"));
    }

    @Case("groups and client-metrics: list and describe")
    void lists() throws Exception {
        String topic = createTopic(1);
        String group = unique("listed");
        produce(numbered(topic, 1, 0, 3), Map.of());
        client(Tool.CONSOLE_CONSUMER, "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "3", "--timeout-ms", "30000");
        String listed = lines(tool(Tool.ALL_GROUPS, "--list")).stream().filter(line -> line.startsWith(group)).findFirst().orElse("nothing");
        Check.equal(List.of(group, "Classic", "consumer"), List.of(listed.trim().split("\\s+")), "group, type and protocol");
        contains(group, tool(Tool.ALL_GROUPS, "--list", "--consumer"));
        Check.that(!tool(Tool.ALL_GROUPS, "--list", "--share").contains(group), "a consumer group is no share group");
        contains("Empty", tool(Tool.GROUPS, "--describe", "--state", "--group", group));
        contains("Dynamic configs for group " + group, tool(Tool.CONFIGS, "--describe", "--entity-type", "groups", "--entity-name", group));
        tool(Tool.CLIENT_METRICS, "--list");
        contains("The client metric resource nope doesn't exist", tool(Tool.CLIENT_METRICS, "--describe", "--name", "nope"));
    }

    @Case("configs: every type of entity is described")
    void entities() throws Exception {
        String broker = ToolShell.ok(Tool.CLUSTER, "list-endpoints", "--bootstrap-server", BOOTSTRAP).lines().skip(1).findFirst().orElseThrow().split(" ")[0];
        contains("Dynamic configs for broker " + broker, tool(Tool.CONFIGS, "--describe", "--entity-type", "brokers", "--entity-name", broker));
        contains("log.retention.ms=", tool(Tool.CONFIGS, "--describe", "--entity-type", "brokers", "--entity-name", broker, "--all"));
        contains(" root=", tool(Tool.CONFIGS, "--describe", "--entity-type", "broker-loggers", "--entity-name", broker));
        for (String type : List.of("topics", "brokers", "users", "clients", "ips", "client-metrics", "groups")) {
            tool(Tool.CONFIGS, "--describe", "--entity-type", type);
        }
    }

    @Case("configs: a quota or a password is kept, or refused with the reason")
    void promises() throws Exception {
        String user = unique("user");
        for (String promise : List.of("producer_byte_rate=1000", "SCRAM-SHA-256=[iterations=4096,password=pw]")) {
            Tool set = ToolShell.run(Tool.CONFIGS, here("--alter", "--entity-type", "users", "--entity-name", user, "--add-config", promise));
            String key = promise.substring(0, promise.indexOf('='));
            Callable<Boolean> isShown = () -> tool(Tool.CONFIGS, "--describe", "--entity-type", "users", "--entity-name", user).contains(key);
            if (set.exit() == 0) {
                // Kafka grants it a moment before its broker has heard of it.
                Check.eventually(isShown, () -> promise + " is shown");
                tool(Tool.CONFIGS, "--alter", "--entity-type", "users", "--entity-name", user, "--delete-config", key);
            } else {
                contains("This broker does not ", set.out() + set.err());
                Check.that(!isShown.call(), promise + " was refused and is shown");
            }
        }
    }
}
