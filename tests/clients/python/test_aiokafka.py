"""aiokafka: every codec through a group that resumes where it committed, seeking by time, and administration."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidPartitionsError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata
from support.cluster import KEEP, PATIENCE, bootstrap, create_topic, unique

COUNT = 300
# What Kafka calls these; the client hands the numbers out.
UNKNOWN_TOPIC_OR_PARTITION, TOPIC_ALREADY_EXISTS, INVALID_CONFIG = 3, 36, 40


def consumer(*topics: str, **config) -> AIOKafkaConsumer:
    config = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 100, **config}
    return AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap(), **config)


@asynccontextmanager
async def administrator():
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap())
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def produce(topic: str, messages: list[dict], **config) -> list:
    """Sends arguments of `AIOKafkaProducer.send` and returns what the broker answered."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap(), **config) as producer:
        return await asyncio.gather(*[await producer.send(topic, **message) for message in messages])


async def take(reader: AIOKafkaConsumer, count: int) -> list:
    async with asyncio.timeout(PATIENCE):
        return [await reader.getone() for _ in range(count)]


async def until(ask, expected) -> None:
    """Asks again until the answer is as expected: Kafka answers a change a moment before its brokers have heard of it."""
    async with asyncio.timeout(PATIENCE):
        while await ask() != expected:
            pass


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_every_codec_in_a_group_that_resumes_where_it_committed(codec):
    topic, group = create_topic(1), unique("aiokafka")
    sent = [(b"%d" % (i % 7), b"value %d " % i * 20) for i in range(COUNT)]
    messages = [{"key": k, "value": v} for k, v in sent]
    answers = await produce(topic, messages, compression_type=codec, linger_ms=20, enable_idempotence=True)
    assert [answer.offset for answer in answers] == list(range(COUNT))
    async with consumer(topic, group_id=group) as first:
        assert [(record.key, record.value) for record in await take(first, COUNT)] == sent
        await first.commit({TopicPartition(topic, 0): OffsetAndMetadata(COUNT - 10, "ten are left")})
    async with consumer(topic, group_id=group) as second:
        assert [record.offset for record in await take(second, 10)] == list(range(COUNT - 10, COUNT))
        assert await second.committed(TopicPartition(topic, 0)) == COUNT - 10


async def test_seeking_by_time():
    topic = create_topic(1, config=KEEP)
    partition = TopicPartition(topic, 0)
    for timestamp in (1000, 2000, 3000):
        await produce(topic, [{"value": b"%d" % timestamp, "timestamp_ms": timestamp}])
    async with consumer() as reader:
        reader.assign([partition])
        assert await reader.beginning_offsets([partition]) == {partition: 0}
        assert await reader.end_offsets([partition]) == {partition: 3}
        found = (await reader.offsets_for_times({partition: 1001}))[partition]
        assert (found.offset, found.timestamp) == (1, 2000)
        assert (await reader.offsets_for_times({partition: 3001}))[partition] is None
        reader.seek(partition, found.offset)
        assert [record.value for record in await take(reader, 2)] == [b"2000", b"3000"]


async def test_a_topic_is_created_grown_trimmed_and_deleted():
    topic = unique("aiokafka")
    partition = TopicPartition(topic, 0)
    async with administrator() as admin:

        async def partitions() -> list[int]:
            [described] = await admin.describe_topics([topic])
            return sorted(p["partition"] for p in described["partitions"] if p["leader"] >= 0)

        async def listed() -> bool:
            return topic in await admin.list_topics()

        for expected in (0, TOPIC_ALREADY_EXISTS):
            assert [error[:2] for error in (await admin.create_topics([NewTopic(topic, 1, 1)])).topic_errors] == [(topic, expected)]
        await until(partitions, [0])
        await admin.create_partitions({topic: NewPartitions(2)})
        await until(partitions, [0, 1])
        with pytest.raises(InvalidPartitionsError):
            await admin.create_partitions({topic: NewPartitions(1)})

        await produce(topic, [{"partition": 0, "value": b"v"}] * 10)
        assert await admin.delete_records({partition: RecordsToDelete(4)}) == {partition: 4}
        with pytest.raises(OffsetOutOfRangeError):
            await admin.delete_records({partition: RecordsToDelete(100)})
        async with consumer() as reader:
            assert await reader.beginning_offsets([partition]) == {partition: 4}

        assert (await admin.delete_topics([topic])).topic_error_codes == [(topic, 0)]
        await until(listed, False)
        assert (await admin.delete_topics([topic])).topic_error_codes == [(topic, UNKNOWN_TOPIC_OR_PARTITION)]


async def test_the_configuration_of_a_topic_is_described_and_altered():
    topic = create_topic(1)
    async with administrator() as admin:

        async def alter(key: str, value: str) -> int:
            [response] = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {key: value})])
            return response.resources[0][0]

        async def retention() -> str:
            [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": ""})])
            [[name, value, *_]] = response.resources[0][4]
            assert name == "retention.ms"
            return value

        assert await retention() == "604800000"
        assert await alter("retention.ms", "123456") == 0
        await until(retention, "123456")
        assert await alter("retention.ms", "soon") == INVALID_CONFIG


async def test_groups_are_listed_and_described():
    topic, group = create_topic(1), unique("aiokafka")
    await produce(topic, [{"partition": 0, "value": b"v"}] * 10)
    async with administrator() as admin:
        async with consumer(topic, group_id=group, client_id="the-client") as member:
            await take(member, 10)
            await member.commit()
            assert (group, "consumer") in [listed[:2] for listed in await admin.list_consumer_groups()]
            [described] = await admin.describe_consumer_groups([group])
            error, name, state, _, _, members, *_ = described.groups[0]
            assert (error, name, state, [m[1] for m in members]) == (0, group, "Stable", ["the-client"])
        assert (await admin.list_consumer_group_offsets(group))[TopicPartition(topic, 0)].offset == 10
