package reference;

import java.io.IOException;
import java.io.PrintStream;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.utils.Exit;

/**
 * Apache Kafka behind the two commands of {@code ottla} that start a broker, so that every suite can be run against the reference:
 *
 * <pre>
 *   dev --port 0 --json                                   a broker on a temporary folder
 *   serve --data-dir D --listen 127.0.0.1:PORT            a broker on that folder; port 0 picks a free one
 * </pre>
 *
 * The brokers take {@code --set KEY=VALUE}, announce themselves as {@code ottla} does, and stop at SIGTERM. The broker runs inside this process, so
 * that SIGKILL is as sudden for Kafka as it is for Ottla.
 */
public final class Reference {
    private static final long READY_TIMEOUT_SECONDS = 60;

    public static void main(String[] args) throws Exception {
        Map<String, List<String>> options = options(args);
        boolean ephemeral = args.length > 0 && args[0].equals("dev");
        Path folder = ephemeral
            ? Files.createTempDirectory("reference-kafka")
            : Path.of(options.get("--data-dir").get(0)).toAbsolutePath();
        String listen = ephemeral ? "127.0.0.1:" + options.getOrDefault("--port", List.of("0")).get(0) : options.get("--listen").get(0);
        String bootstrap = pickPort(listen);

        PrintStream out = System.out; // Kafka's formatter and logger may print; only our line belongs on standard output.
        System.setOut(System.err);
        Path properties = configure(ephemeral, folder, bootstrap, options.getOrDefault("--set", List.of()));
        CountDownLatch stopped = new CountDownLatch(1);
        Exit.setExitProcedure((code, message) -> exited(code, stopped));
        Thread broker = new Thread(() -> kafka.Kafka.main(new String[] {properties.toString()}), "kafka");
        broker.setDaemon(true);
        broker.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> finish(stopped, ephemeral ? folder : null)));
        awaitReady(bootstrap);
        out.println(ephemeral ? "{\"bootstrap\":\"" + bootstrap + "\"}" : "ready " + bootstrap);
        out.flush();
        broker.join();
    }

    private static Map<String, List<String>> options(String[] args) {
        Map<String, List<String>> options = new LinkedHashMap<>();
        for (int i = 1; i < args.length; i++) {
            if (!args[i].equals("--json")) {
                options.computeIfAbsent(args[i], key -> new ArrayList<>()).add(args[++i]);
            }
        }
        return options;
    }

    private static String pickPort(String listen) throws IOException {
        int colon = listen.lastIndexOf(':');
        return listen.endsWith(":0") ? listen.substring(0, colon + 1) + freePort() : listen;
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    private static Path configure(boolean ephemeral, Path folder, String bootstrap, List<String> settings) throws Exception {
        Path logs = folder.resolve("logs");
        Path properties = folder.resolve("server.properties");
        Files.createDirectories(logs);
        int controller = freePort();
        List<String> lines = new ArrayList<>(List.of(
            "process.roles=broker,controller",
            "node.id=1",
            "controller.quorum.voters=1@127.0.0.1:" + controller,
            "listeners=PLAINTEXT://" + bootstrap + ",CONTROLLER://127.0.0.1:" + controller,
            "advertised.listeners=PLAINTEXT://" + bootstrap,
            "controller.listener.names=CONTROLLER",
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs=" + logs,
            "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "share.coordinator.state.topic.replication.factor=1",
            "share.coordinator.state.topic.min.isr=1",
            "group.initial.rebalance.delay.ms=0"));
        if (!ephemeral) {
            // A restart after SIGKILL must not wait nine seconds for the registration of the dead incarnation to expire.
            lines.addAll(List.of("broker.session.timeout.ms=2000", "broker.heartbeat.interval.ms=200"));
        }
        lines.addAll(settings);
        Files.write(properties, lines);
        if (!Files.exists(logs.resolve("meta.properties"))) {
            String[] format = {"format", "-t", Uuid.randomUuid().toString(), "-c", properties.toString()};
            if (kafka.tools.StorageTool.execute(format, System.err) != 0) {
                throw new IllegalStateException("Kafka's storage tool refused to format " + logs);
            }
        }
        return properties;
    }

    private static void awaitReady(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap,
                AdminClientConfig.RECONNECT_BACKOFF_MAX_MS_CONFIG, "100"))) {
            admin.describeCluster().nodes().get(READY_TIMEOUT_SECONDS, TimeUnit.SECONDS);
        }
    }

    /** Kafka's main ends with an exit, which would wait for the very hook that waits for Kafka: a clean one is only noted. */
    private static void exited(int code, CountDownLatch stopped) {
        if (code != 0) {
            Runtime.getRuntime().halt(code);
        }
        stopped.countDown();
    }

    /** At SIGTERM: waits for Kafka's own hook to stop the broker, and exits with 0 as {@code ottla} does, not with Java's 143. */
    private static void finish(CountDownLatch stopped, Path temporary) {
        try {
            stopped.await();
            if (temporary != null) {
                remove(temporary);
            }
            Runtime.getRuntime().halt(0);
        } catch (IOException | InterruptedException failure) {
            System.err.println("could not stop in order: " + failure);
        }
    }

    private static void remove(Path folder) throws IOException {
        try (var paths = Files.walk(folder)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        }
    }
}
