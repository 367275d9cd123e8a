package clients;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Runs every method marked {@link Case}, several at a time, and ends with a line {@code N passed, N failed}; the exit code is 1 when one failed.
 * Arguments select the cases whose class or name contains one of them.
 */
public final class Main {
    private static final List<Class<?>> SUITES =
        List.of(ExactlyOnceCases.class, FeatureCases.class, StreamsCases.class, HangingCases.class, TakeoverCases.class, ExampleCases.class, LogFileCases.class, GroupCases.class, ToolCases.class, AnswerCases.class,
            TransactionCases.class, ProducingCases.class, OffsetCases.class, TopicCases.class);
    /** Most cases wait for a session, a rebalance or a process; more of them at once would only starve those that compute. */
    private static final int AT_ONCE = 8;

    private record Outcome(String name, Throwable failure, long millis) {}

    public static void main(String[] wanted) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(AT_ONCE);
        List<Future<Outcome>> outcomes = new ArrayList<>();
        for (Class<?> suite : SUITES) {
            for (Method method : suite.getDeclaredMethods()) {
                Case marked = method.getAnnotation(Case.class);
                if (marked != null && selected(suite.getSimpleName() + " " + marked.value(), wanted)) {
                    outcomes.add(threads.submit(() -> run(suite, method, marked.value())));
                }
            }
        }
        int failed = 0;
        for (Future<Outcome> pending : outcomes) {
            Outcome outcome = pending.get();
            System.out.printf("%s %s (%.1f s)%n", outcome.failure == null ? "ok  " : "FAIL", outcome.name, outcome.millis / 1000.0);
            if (outcome.failure != null) {
                failed++;
                outcome.failure.printStackTrace(System.out);
            }
        }
        threads.shutdown();
        System.out.printf("%d passed, %d failed%n", outcomes.size() - failed, failed);
        System.exit(failed == 0 && !outcomes.isEmpty() ? 0 : 1);
    }

    private static boolean selected(String name, String[] wanted) {
        for (String part : wanted) {
            if (name.contains(part)) {
                return true;
            }
        }
        return wanted.length == 0;
    }

    private static Outcome run(Class<?> suite, Method method, String name) {
        long start = System.nanoTime();
        Throwable failure = null;
        try {
            method.invoke(suite.getDeclaredConstructor().newInstance());
        } catch (InvocationTargetException thrown) {
            failure = thrown.getCause();
        } catch (ReflectiveOperationException broken) {
            failure = broken;
        }
        return new Outcome(name, failure, (System.nanoTime() - start) / 1_000_000);
    }

    private Main() {}
}
