"""Creates the topic `rider-updates` with two partitions: 0 for the north, 1 for the south."""

from client import BOOTSTRAP, TOPIC
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic


def main() -> None:
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    [created] = admin.create_topics([NewTopic(TOPIC, num_partitions=2)]).values()
    try:
        created.result()
        print(f"created topic {TOPIC} with 2 partitions")
    except KafkaException as refused:
        if refused.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
        print(f"topic {TOPIC} is there already")


if __name__ == "__main__":
    main()
