package clients;

import java.io.BufferedReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A broker process of a case's own: {@code ottla serve} on a folder that goes with it and, after its first start, on one port. */
final class Broker implements AutoCloseable {
    private static final Pattern ADDRESS = Pattern.compile("127\\.0\\.0\\.1:\\d+");

    final Path folder;
    private final List<String> settings;
    private String address = "127.0.0.1:0"; // The first start picks a port; every later one uses it again.
    private Process process;

    /** Each setting is {@code key=value}. */
    Broker(String name, String... settings) throws Exception {
        folder = Files.createTempDirectory(name);
        this.settings = List.of(settings);
    }

    /** Returns its address once it is ready. */
    String start() throws Exception {
        List<String> command =
            new ArrayList<>(List.of(Cluster.required("OTTLA_BIN"), "serve", "--data-dir", folder.toString(), "--listen", address));
        for (String setting : settings) {
            command.addAll(List.of("--set", setting));
        }
        process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        BufferedReader lines = process.inputReader();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Matcher found = ADDRESS.matcher(line);
            if (line.startsWith("ready") && found.find()) {
                address = found.group();
                return address;
            }
        }
        throw new AssertionError("the broker ended before it was ready");
    }

    /** SIGKILL, and wait until the process is gone. */
    void kill() throws InterruptedException {
        process.destroyForcibly();
        process.waitFor();
    }

    /** SIGTERM, after which it has to end well. */
    void stop() throws InterruptedException {
        process.destroy();
        Check.that(process.waitFor(60, TimeUnit.SECONDS), "the broker stops");
        Check.equal(0, process.exitValue(), "exit of the broker");
    }

    /** Where the partitions are, and the checkpoints of them all. */
    Path logs() {
        Path kafka = folder.resolve("logs");
        return Files.isDirectory(kafka) ? kafka : folder;
    }

    /** The files of a topic's partition 0 whose names end so. */
    List<Path> files(String topic, String suffix) throws Exception {
        // A listing of names alone: a walk would look at files that a cleaner has renamed meanwhile.
        try (var paths = Files.list(logs().resolve(topic + "-0"))) {
            return paths.filter(path -> path.toString().endsWith(suffix)).sorted().toList();
        }
    }

    /** Deletes the partitions whose names begin so, as a careless hand does; the broker does not run. */
    void lose(String beginning) throws Exception {
        List<Path> lost;
        try (var paths = Files.walk(folder)) {
            lost = paths.filter(path -> path.getFileName().toString().startsWith(beginning)).toList();
        }
        for (Path partition : lost) {
            delete(partition);
        }
    }

    @Override
    public void close() throws Exception {
        kill();
        delete(folder);
    }

    private static void delete(Path folder) throws Exception {
        try (var paths = Files.walk(folder)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }
}
