package riders;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.errors.TopicExistsException;

/** Creates the topic {@code rider-updates} with two partitions: 0 for the north, 1 for the south. */
public final class CreateTopic {
    public static void main(String[] args) throws Exception {
        NewTopic topic = new NewTopic(Broker.TOPIC, Optional.of(2), Optional.empty());
        try (Admin admin = Admin.create(Broker.configuration(Map.of()))) {
            admin.createTopics(List.of(topic)).all().get();
            System.out.println("created topic " + Broker.TOPIC + " with 2 partitions");
        } catch (ExecutionException refused) {
            if (!(refused.getCause() instanceof TopicExistsException)) {
                throw refused;
            }
            System.out.println("topic " + Broker.TOPIC + " is there already");
        }
    }

    private CreateTopic() {}
}
