package clients;

import static clients.Cluster.createTopic;
import static clients.Cluster.describe;
import static clients.Cluster.numbered;
import static clients.Cluster.produce;
import static clients.Cluster.readAssigned;
import static clients.Cluster.unique;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Topics and their configuration, through the Admin client. */
final class TopicCases {
    @Case("a topic is created with the broker's defaults, grown, deleted, and created again at once")
    void life() throws Exception {
        String topic = unique("life");
        try (Admin admin = Cluster.admin()) {
            var created = admin.createTopics(List.of(new NewTopic(topic, Optional.of(2), Optional.empty())));
            Check.equal(2, created.numPartitions(topic).get(), "partitions");
            Check.refused(TopicExistsException.class, () -> admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get());
            TopicDescription first = describe(admin, topic);
            Check.equal(created.topicId(topic).get(), first.topicId(), "topic id");
            produce(numbered(topic, 2, 0, 10), Map.of());
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
            Check.eventually(() -> describe(admin, topic).partitions().size() == 4, () -> "four partitions");
            Check.refused(InvalidPartitionsException.class, () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get());
            for (int i = 0; i < 3; i++) {
                admin.deleteTopics(List.of(topic)).all().get();
                admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
            }
            Check.that(!describe(admin, topic).topicId().equals(first.topicId()), "a topic created again is another topic");
            Check.equal(0L, produce(numbered(topic, 1, 7, 8), Map.of()).get(0).offset(), "it begins empty");
            Check.equal("7", readAssigned(topic, 1, 1).get(0).value(), "value");
            admin.deleteTopics(List.of(topic)).all().get();
            Check.refused(UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of(topic)).all().get());
        }
    }

    @Case("impossible topics are refused with the reason")
    void impossible() throws Exception {
        try (Admin admin = Cluster.admin()) {
            Map<NewTopic, Class<? extends Exception>> refusals = Map.of(
                new NewTopic("not a name", 1, (short) 1), InvalidTopicException.class,
                new NewTopic(unique("none"), 0, (short) 1), InvalidPartitionsException.class,
                new NewTopic(unique("many"), 1, (short) 7), InvalidReplicationFactorException.class,
                new NewTopic(unique("key"), 1, (short) 1).configs(Map.of("no.such.key", "1")), InvalidConfigurationException.class,
                new NewTopic(unique("value"), 1, (short) 1).configs(Map.of("retention.ms", "soon")), InvalidConfigurationException.class);
            for (var refusal : refusals.entrySet()) {
                Check.refused(refusal.getValue(), () -> admin.createTopics(List.of(refusal.getKey())).all().get());
            }
            String topic = unique("validated");
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1)), new CreateTopicsOptions().validateOnly(true)).all().get();
            Check.that(!admin.listTopics().names().get().contains(topic), "validating creates nothing");
        }
    }

    @Case("the configuration of a topic is described and changed incrementally")
    void configuration() throws Exception {
        String topic = createTopic(Cluster.BOOTSTRAP, 1, Map.of("retention.ms", "1000000"));
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (Admin admin = Cluster.admin()) {
            Config before = admin.describeConfigs(List.of(resource)).all().get().get(resource);
            Check.equal(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, before.get("retention.ms").source(), "source of what was set");
            Check.equal(ConfigEntry.ConfigSource.DEFAULT_CONFIG, before.get("cleanup.policy").source(), "source of a default");
            admin.incrementalAlterConfigs(Map.of(resource, List.of(
                new AlterConfigOp(new ConfigEntry("retention.ms", ""), AlterConfigOp.OpType.DELETE),
                new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND)))).all().get();
            Check.eventually(() -> {
                Config after = admin.describeConfigs(List.of(resource)).all().get().get(resource);
                return after.get("cleanup.policy").value().equals("delete,compact") && after.get("retention.ms").value().equals("604800000");
            }, () -> "the change is seen");
        }
    }
}
