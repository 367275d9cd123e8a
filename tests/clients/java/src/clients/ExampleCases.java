package clients;

import static clients.Cluster.unique;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import javax.tools.ToolProvider;
import org.apache.kafka.clients.admin.Admin;

/** The programs in examples/java do what their README says: run as a user runs them, with lines typed into the producer. */
final class ExampleCases {
    private static final Path FOLDER = Path.of(System.getProperty("ottla.clients")).resolve("../../examples/java").normalize();
    private static final String TOPIC = "rider-updates";

    @Case("the example: a topic, a producer and consumers")
    void example() throws Exception {
        Path classes = compile();
        try (Admin admin = Cluster.admin()) {
            if (admin.listTopics().names().get().contains(TOPIC)) {
                admin.deleteTopics(List.of(TOPIC)).all().get();
                Check.eventually(() -> !admin.listTopics().names().get().contains(TOPIC), () -> "an earlier run left nothing behind");
            }
            Check.equal("created topic rider-updates with 2 partitions\n", run(classes, "", "riders.CreateTopic"), "created");
            Cluster.describe(admin, TOPIC);
            Check.equal("topic rider-updates is there already\n", run(classes, "", "riders.CreateTopic"), "created again");
        }
        String shared = unique("user");
        String other = unique("user");
        List<Consumer> consumers = new ArrayList<>();
        try {
            for (String group : List.of(shared, shared, other)) {
                consumers.add(new Consumer(classes, group));
            }
            String typed = run(classes, "tony south\nann north\nnonsense\n\ntony north\n", "riders.Produce");
            Check.that(typed.startsWith("> ") && typed.contains("a name and a location, please"), "the producer asks for both: " + typed);
            Member.until(() -> printed(consumers.subList(0, 2)).equals(expected(shared)) && printed(consumers.subList(2, 3)).equals(expected(other)),
                () -> "both groups have everything, they printed " + printed(consumers), Check.PATIENCE.multipliedBy(2));
        } finally {
            for (Consumer consumer : consumers) {
                consumer.stop();
            }
        }
    }

    /** Compiles against the client that this suite tests, which is the one that the example's pom names. */
    private static Path compile() throws IOException {
        String version = org.apache.kafka.common.utils.AppInfoParser.getVersion();
        String pom = Files.readString(FOLDER.resolve("pom.xml"));
        Check.that(pom.contains("<artifactId>kafka-clients</artifactId><version>" + version + "<"), "the example uses Kafka's client " + version);
        Path classes = Files.createTempDirectory("riders");
        List<String> arguments = new ArrayList<>(List.of("-cp", System.getProperty("java.class.path"), "-d", classes.toString()));
        try (var sources = Files.list(FOLDER.resolve("src/riders"))) {
            sources.map(Path::toString).forEach(arguments::add);
        }
        int exit = ToolProvider.getSystemJavaCompiler().run(null, System.out, System.out, arguments.toArray(String[]::new));
        Check.equal(0, exit, "exit code of javac");
        try (var written = Files.walk(classes)) {
            written.forEach(path -> path.toFile().deleteOnExit()); // What is named last goes first, a folder after its files.
        }
        return classes;
    }

    /** A program of the example; what goes wrong is among the suite's own output. */
    private static Process start(Path classes, String main, String... args) throws IOException {
        ProcessBuilder program = Tool.java(main, args);
        int classPath = program.command().indexOf("-cp") + 1;
        program.command().set(classPath, classes + File.pathSeparator + program.command().get(classPath));
        return program.redirectError(ProcessBuilder.Redirect.INHERIT).start();
    }

    /** Runs a program to its end, with these lines typed, and returns what it printed. */
    private static String run(Path classes, String typed, String main) throws Exception {
        Process process = start(classes, main);
        process.getOutputStream().write(typed.getBytes(StandardCharsets.UTF_8));
        process.getOutputStream().close();
        String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        Check.equal(0, process.waitFor(), "exit code of " + main);
        return printed;
    }

    private static Set<String> expected(String group) {
        return Set.of(
            group + ": [rider-updates]: PART:0: {\"riderName\":\"ann\",\"location\":\"north\"}",
            group + ": [rider-updates]: PART:0: {\"riderName\":\"tony\",\"location\":\"north\"}",
            group + ": [rider-updates]: PART:1: {\"riderName\":\"tony\",\"location\":\"south\"}");
    }

    /** What these consumers printed; a message may reach two of them when the group rebalances in between. */
    private static Set<String> printed(List<Consumer> consumers) {
        Set<String> all = new TreeSet<>();
        consumers.forEach(consumer -> all.addAll(consumer.printed));
        return all;
    }

    /** A consumer in a process of its own. */
    private static final class Consumer {
        private final Process process;
        /** Guarded by {@link Member#CHANGED}, as everything that {@link Member#until} looks at. */
        private final List<String> printed = new ArrayList<>();

        Consumer(Path classes, String group) throws IOException {
            process = start(classes, "riders.Consume", group);
            new Thread(() -> process.inputReader().lines().forEach(line -> {
                synchronized (Member.CHANGED) {
                    printed.add(line);
                    Member.CHANGED.notifyAll();
                }
            }), group).start();
        }

        /** SIGTERM, at which it leaves its group; Java then ends with 128 + 15. */
        void stop() throws InterruptedException {
            process.destroy();
            if (!process.waitFor(Check.PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
            Check.equal(143, process.waitFor(), "exit code of a stopped consumer");
        }
    }
}
