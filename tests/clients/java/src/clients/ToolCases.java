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
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Kafka's own command line tools, pointed at the broker. */
final class ToolCases {
    private static String tool(String main, String... args) throws Exception {
        return Tool.ok(main, Stream.concat(Stream.of("--bootstrap-server", BOOTSTRAP), Arrays.stream(args)).toArray(String[]::new));
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
        String read = tool(Tool.CONSOLE_CONSUMER, "--topic", topic, "--from-beginning", "--max-messages", "20", "--timeout-ms", "30000",
            "--formatter-property", "print.key=true", "--formatter-property", "key.separator=:");
        Check.equal(sent.stream().sorted().toList(), lines(read).stream().sorted().toList(), "lines");
    }

    @Case("consumer-groups: list, describe, reset-offsets, delete")
    void groups() throws Exception {
        String topic = createTopic(1);
        String group = unique("tool-group");
        produce(numbered(topic, 1, 0, 10), Map.of());
        String read = tool(Tool.CONSOLE_CONSUMER, "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "10", "--timeout-ms", "30000");
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
        String read = tool(Tool.CONSUMER_PERF, "--topic", topic, "--num-records", "20000", "--timeout", "30000");
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
        String read = tool(Tool.VERIFIABLE_CONSUMER, "--topic", topic, "--group-id", unique("verifiable"), "--reset-policy", "earliest",
            "--max-messages", "1000");
        Check.that(read.contains("offsets_committed") && read.contains("\"success\":true"), read);
    }

    @Case("delete-records, cluster and broker-api-versions")
    void others() throws Exception {
        String topic = createTopic(1);
        produce(numbered(topic, 1, 0, 10), Map.of());
        Path plan = Files.createTempFile("delete-records", ".json");
        try {
            Files.writeString(plan, "{\"version\":1,\"partitions\":[{\"topic\":\"" + topic + "\",\"partition\":0,\"offset\":7}]}");
            Check.that(tool(Tool.DELETE_RECORDS, "--offset-json-file", plan.toString()).contains("low_watermark: 7"), "deleted");
        } finally {
            Files.delete(plan);
        }
        Check.that(Tool.ok(Tool.CLUSTER, "cluster-id", "--bootstrap-server", BOOTSTRAP).startsWith("Cluster ID: "), "cluster id");
        String versions = tool(Tool.API_VERSIONS);
        for (String api : List.of("Produce(0)", "Fetch(1)", "ListOffsets(2)", "Metadata(3)", "JoinGroup(11)", "ApiVersions(18)", "CreateTopics(19)")) {
            Check.that(versions.contains(api), api + " in " + versions.lines().limit(20).collect(Collectors.joining("\n")));
        }
    }
}
