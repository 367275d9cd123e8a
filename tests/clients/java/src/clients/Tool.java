package clients;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Kafka's command line tools, each in a process of its own as a user runs it. */
record Tool(int exit, String out, String err) {
    static final long PATIENCE_SECONDS = 90;

    static final String TOPICS = "org.apache.kafka.tools.TopicCommand";
    static final String CONFIGS = "kafka.admin.ConfigCommand";
    static final String GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    static final String CONSOLE_PRODUCER = "org.apache.kafka.tools.ConsoleProducer";
    static final String CONSOLE_CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer";
    static final String PRODUCER_PERF = "org.apache.kafka.tools.ProducerPerformance";
    static final String CONSUMER_PERF = "org.apache.kafka.tools.ConsumerPerformance";
    static final String GET_OFFSETS = "org.apache.kafka.tools.GetOffsetShell";
    static final String DELETE_RECORDS = "org.apache.kafka.tools.DeleteRecordsCommand";
    static final String CLUSTER = "org.apache.kafka.tools.ClusterTool";
    static final String API_VERSIONS = "org.apache.kafka.tools.BrokerApiVersionsCommand";
    static final String DUMP_LOG = "org.apache.kafka.tools.DumpLogSegments";
    static final String ACLS = "org.apache.kafka.tools.AclCommand";
    static final String CLIENT_METRICS = "org.apache.kafka.tools.ClientMetricsCommand";
    static final String DELEGATION_TOKENS = "org.apache.kafka.tools.DelegationTokenCommand";
    static final String E2E_LATENCY = "org.apache.kafka.tools.EndToEndLatency";
    static final String ELECTION = "org.apache.kafka.tools.LeaderElectionCommand";
    static final String FEATURES = "org.apache.kafka.tools.FeatureCommand";
    static final String ALL_GROUPS = "org.apache.kafka.tools.GroupsCommand";
    static final String LOG_DIRS = "org.apache.kafka.tools.LogDirsCommand";
    static final String QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand";
    static final String REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
    static final String REPLICAS = "org.apache.kafka.tools.ReplicaVerificationTool";
    static final String SHARE_GROUPS = "org.apache.kafka.tools.consumer.group.ShareGroupCommand";
    static final String STREAMS_GROUPS = "org.apache.kafka.tools.streams.StreamsGroupCommand";
    static final String TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand";
    static final String COPIER = "org.apache.kafka.tools.TransactionalMessageCopier";
    static final String VERIFIABLE_PRODUCER = "org.apache.kafka.tools.VerifiableProducer";
    static final String VERIFIABLE_CONSUMER = "org.apache.kafka.tools.VerifiableConsumer";

    /** A Java process on our own class path, quick to start. */
    static ProcessBuilder java(String main, String... args) {
        List<String> command = new ArrayList<>(List.of(
            System.getProperty("java.home") + "/bin/java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m",
            "-Djava.awt.headless=true", "-Dlog4j2.configurationFile=" + System.getProperty("log4j2.configurationFile", ""),
            "-cp", System.getProperty("java.class.path"), main));
        command.addAll(List.of(args));
        return new ProcessBuilder(command);
    }

    /** Runs a tool to its end, with this standard input. */
    static Tool run(String input, String main, String... args) throws Exception {
        Process process = java(main, args).start();
        var out = CompletableFuture.supplyAsync(() -> text(process.getInputStream()));
        var err = CompletableFuture.supplyAsync(() -> text(process.getErrorStream()));
        process.getOutputStream().write(input.getBytes(StandardCharsets.UTF_8));
        process.getOutputStream().close();
        if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError(main + " did not end; it wrote\n" + out.get() + err.get());
        }
        return new Tool(process.exitValue(), out.get(), err.get());
    }

    /** Runs a tool that must succeed, and returns its standard output. */
    static String ok(String main, String... args) throws Exception {
        return run("", main, args).succeeded(main, args);
    }

    /** Its standard output, if it ended well. */
    String succeeded(String main, String... args) {
        Check.that(exit == 0, main + " " + List.of(args) + " exits with 0, not " + exit + ":\n" + out + err);
        return out;
    }

    private static String text(java.io.InputStream stream) {
        try {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException failure) {
            return failure.toString();
        }
    }
}
