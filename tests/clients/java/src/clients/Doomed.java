package clients;

import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** A member in a process of its own, to be killed: prints {@code owned N} when its share changes and {@code value V} for each record. */
public final class Doomed {
    public static void main(String[] args) throws Exception {
        Member member = new Member(args[0], args[1], Map.of(), record -> System.out.println("value " + record.value()));
        Set<Integer> told = null;
        while (true) {
            Set<Integer> before = told;
            Member.until(() -> !Objects.equals(before, member.owned()), () -> "a change", Duration.ofDays(1));
            told = member.owned();
            System.out.println("owned " + (told == null ? 0 : told.size()));
        }
    }

    private Doomed() {}
}
