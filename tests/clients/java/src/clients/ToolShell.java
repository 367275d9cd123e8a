package clients;

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.common.utils.Exit;

/**
 * One process in which tools run one after the other: starting a process for each takes longer than all they do.
 * A request is a line of words, an answer a line of exit code, output and errors; all of them are in base 64.
 */
final class ToolShell {
    /** What a tool's {@code exit} becomes, so that the next tool finds its process alive. */
    private static final class Exited extends Error {
        private static final long serialVersionUID = 1;
    }

    private static Process process;
    /** In the other process: what the tool that runs there ended with, once it has. */
    private static Integer exit;

    /** Runs a tool to its end. */
    static synchronized Tool run(String main, String... args) throws Exception {
        if (process == null || !process.isAlive()) {
            process = Tool.java(ToolShell.class.getName()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        }
        String request = Stream.concat(Stream.of(main), Arrays.stream(args)).map(ToolShell::encoded).collect(Collectors.joining(" "));
        new PrintWriter(process.getOutputStream(), true, StandardCharsets.UTF_8).println(request);
        Process asked = process;
        var answer = CompletableFuture.supplyAsync(() -> line(asked));
        try {
            String[] words = answer.get(Tool.PATIENCE_SECONDS, TimeUnit.SECONDS).split(" ", -1);
            return new Tool(Integer.parseInt(words[0]), decoded(words[1]), decoded(words[2]));
        } catch (TimeoutException hangs) {
            process.destroyForcibly();
            throw new AssertionError(main + " " + Arrays.asList(args) + " did not end", hangs);
        }
    }

    /** Runs a tool that must succeed, and returns its standard output. */
    static String ok(String main, String... args) throws Exception {
        return run(main, args).succeeded(main, args);
    }

    /** Byte by byte: nothing may be read ahead of what the next caller waits for. */
    private static String line(Process process) {
        try {
            var line = new ByteArrayOutputStream();
            for (int next = process.getInputStream().read(); next != '\n'; next = process.getInputStream().read()) {
                if (next < 0) {
                    throw new IOException("the process of the tools ended");
                }
                line.write(next);
            }
            return line.toString(StandardCharsets.UTF_8);
        } catch (IOException failure) {
            throw new java.io.UncheckedIOException(failure);
        }
    }

    private static String encoded(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String decoded(String text) {
        return new String(Base64.getDecoder().decode(text), StandardCharsets.UTF_8);
    }

    /** The other side: runs what it is told until its standard input ends. */
    public static void main(String[] none) throws Exception {
        PrintStream answers = System.out;
        var requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        System.setIn(new ByteArrayInputStream(new byte[0]));
        Exit.setExitProcedure((code, message) -> {
            if (exit == null) {
                // Its process would be gone: what it catches and says from here on, nobody hears.
                exit = code;
                System.setOut(new PrintStream(OutputStream.nullOutputStream()));
                System.setErr(System.out);
            }
            throw new Exited();
        });
        for (String request = requests.readLine(); request != null; request = requests.readLine()) {
            String[] words = Arrays.stream(request.split(" ", -1)).map(ToolShell::decoded).toArray(String[]::new);
            var out = new ByteArrayOutputStream();
            var err = new ByteArrayOutputStream();
            System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
            exit = null;
            invoke(words[0], Arrays.copyOfRange(words, 1, words.length));
            answers.println(exit + " " + encoded(out.toString(StandardCharsets.UTF_8)) + " " + encoded(err.toString(StandardCharsets.UTF_8)));
        }
        Runtime.getRuntime().halt(0);
    }

    /** A tool that throws out of its main method ends with 1, as it would in a process of its own. */
    private static void invoke(String main, String[] args) throws ReflectiveOperationException {
        try {
            Class.forName(main).getMethod("main", String[].class).invoke(null, (Object) args);
            exit = exit == null ? 0 : exit;
        } catch (InvocationTargetException thrown) {
            if (exit == null) {
                thrown.getCause().printStackTrace();
                exit = 1;
            }
        }
    }

    private ToolShell() {}
}
