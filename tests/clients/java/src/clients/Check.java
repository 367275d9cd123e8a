package clients;

import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Supplier;

/** What must hold, at once or soon; and which refusal a request must meet. */
final class Check {
    /** How long anything but a session timeout may take: generous, because continuous integration is slow, and so is Kafka's start. */
    static final Duration PATIENCE = Duration.ofSeconds(60);

    static void equal(Object expected, Object actual, String what) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError(what + ": expected " + expected + ", got " + actual);
        }
    }

    static void that(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    /** Runs {@code action} and returns the refusal of this class that it, or its cause, throws. */
    static <E extends Throwable> E refused(Class<E> refusal, Callable<?> action) {
        try {
            Object answer = action.call();
            throw new AssertionError("expected " + refusal.getSimpleName() + ", got the answer " + answer);
        } catch (Exception thrown) {
            for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
                if (refusal.isInstance(cause)) {
                    return refusal.cast(cause);
                }
            }
            throw new AssertionError("expected " + refusal.getSimpleName(), thrown);
        }
    }

    /** Asks again until the condition holds; the condition itself asks a broker or polls a client. */
    static void eventually(Callable<Boolean> condition, Supplier<String> what) throws Exception {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.call()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not within " + PATIENCE.toSeconds() + " s: " + what.get());
            }
        }
    }

    private Check() {}
}
