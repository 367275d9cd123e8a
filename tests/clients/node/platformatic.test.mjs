// @platformatic/kafka: only the newest versions of each API, topic ids among them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Admin, ConfigResourceTypes, Consumer, IncrementalAlterConfigOperationTypes, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka';
import { bootstrap, createTopic, eventually, KEEP, unique } from './support/cluster.mjs';

const base = { clientId: 'node-tests', bootstrapBrokers: [bootstrap], retries: 20, retryDelay: 50 };
const COUNT = 300;

/** Runs `use` with a client that is closed afterwards; a consumer takes its streams with it when forced. */
async function using(client, use) {
  try {
    return await use(client);
  } finally {
    await (client instanceof Consumer ? client.close(true) : client.close());
  }
}

const withAdmin = (use) => using(new Admin(base), use);
const withConsumer = (groupId, use) => using(new Consumer({ ...base, groupId, deserializers: stringDeserializers, maxWaitTime: 100, autocommit: false }), use);
const produce = (messages, options = {}) => using(new Producer({ ...base, serializers: stringSerializers, ...options }), (producer) => producer.send({ messages }));

/** Takes `count` messages of a stream, which ends with them. */
async function take(stream, count) {
  const taken = [];
  for await (const message of stream) {
    taken.push(message);
    if (taken.length === count) break;
  }
  return taken;
}

/** The codes with which the broker refused, wherever the client wrapped them. */
async function refusals(promise) {
  const codes = (error) => [error.apiId, ...(error.errors ?? []).flatMap(codes), ...(error.cause ? codes(error.cause) : [])].filter(Boolean);
  return codes(await promise.then(() => assert.fail('it was not refused'), (error) => error));
}

describe('@platformatic/kafka', { concurrency: true }, () => {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    test(`${compression} batches reach a group that resumes where it committed`, async () => {
      const [topic, group] = [await createTopic(1), unique('platformatic')];
      const sent = Array.from({ length: COUNT }, (_, i) => ({ topic, key: `${i % 7}`, value: `value ${i} `.repeat(20) }));
      const { offsets } = await produce(sent, { compression, idempotent: true });
      assert.deepEqual(offsets, [{ topic, partition: 0, offset: 0n }]);
      const options = { topics: [topic], mode: 'committed', fallbackMode: 'earliest' };
      await withConsumer(group, async (consumer) => {
        const got = await take(await consumer.consume(options), COUNT);
        assert.deepEqual(got.map(({ key, value }) => ({ topic, key, value })), sent);
        await got[COUNT - 11].commit();
      });
      await withConsumer(group, async (consumer) => {
        const got = await take(await consumer.consume(options), 10);
        assert.deepEqual(got.map(({ offset }) => Number(offset)), Array.from({ length: 10 }, (_, i) => COUNT - 10 + i));
        assert.deepEqual(await consumer.listCommittedOffsets({ topics: [{ topic, partitions: [0] }] }), new Map([[topic, [BigInt(COUNT - 10)]]]));
      });
    });
  }

  test('offsets are found by timestamp, and reading begins there', async () => {
    const topic = await createTopic(1, KEEP);
    for (const timestamp of [1000n, 2000n, 3000n]) await produce([{ topic, value: `${timestamp}`, timestamp }]);
    await withConsumer(unique('times'), async (consumer) => {
      const find = async (timestamp) => (await consumer.listOffsetsWithTimestamps({ topics: [topic], timestamp })).get(topic).get(0);
      assert.deepEqual(await find(-2n), { offset: 0n, timestamp: -1n });
      assert.deepEqual(await find(-1n), { offset: 3n, timestamp: -1n });
      assert.deepEqual(await find(3001n), { offset: -1n, timestamp: -1n });
      const found = await find(1001n);
      assert.deepEqual(found, { offset: 1n, timestamp: 2000n });
      const stream = await consumer.consume({ topics: [topic], mode: 'manual', offsets: [{ topic, partition: 0, offset: found.offset }] });
      assert.deepEqual((await take(stream, 2)).map(({ value }) => value), ['2000', '3000']);
    });
  });

  test('a topic is created, listed, grown, trimmed and deleted', () =>
    withAdmin(async (admin) => {
      const topic = unique('platformatic');
      const create = (options) => admin.createTopics({ topics: [topic], partitions: 2, replicas: 1, ...options });
      const [{ id, configuration }] = await create({ configs: [{ name: 'retention.ms', value: '123456' }] });
      assert.match(id, /^[0-9a-f-]{36}$/);
      assert.equal(configuration['retention.ms'], '123456');
      assert.deepEqual(await refusals(create()), ['TOPIC_ALREADY_EXISTS']);
      const metadata = async () => (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic);
      await eventually(async () => (await admin.listTopics()).includes(topic), 'the topic is listed');
      assert.equal((await metadata()).id, id);
      await admin.createPartitions({ topics: [{ name: topic, count: 5, assignments: null }] });
      await eventually(async () => (await metadata()).partitionsCount === 5, 'five partitions');

      await produce(Array.from({ length: 10 }, (_, i) => ({ topic, partition: 0, value: `${i}` })));
      const trim = (offset) => admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset }] }] });
      assert.deepEqual(await trim(4n), [{ name: topic, partitions: [{ partition: 0, lowWatermark: 4n }] }]);
      assert.deepEqual(await refusals(trim(100n)), ['OFFSET_OUT_OF_RANGE']);
      const [{ partitions }] = await admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -2n }] }] });
      assert.equal(partitions[0].offset, 4n);

      const [{ results }] = await admin.describeLogDirs({ topics: [{ name: topic, partitions: [0] }] });
      assert.ok(results[0].topics[0].partitions[0].partitionSize > 0n);
      await admin.deleteTopics({ topics: [topic] });
      await eventually(async () => !(await admin.listTopics()).includes(topic), 'the topic is gone');
    }));

  test('the configuration of a topic is described and altered', async () => {
    const topic = await createTopic(1);
    await withAdmin(async (admin) => {
      const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic };
      const retention = async () => {
        const [{ configs }] = await admin.describeConfigs({ resources: [{ ...resource, configurationKeys: ['retention.ms'] }] });
        assert.deepEqual(configs.map(({ name }) => name), ['retention.ms']);
        return configs[0].value;
      };
      const alter = (value) => {
        const configs = [{ name: 'retention.ms', configOperation: IncrementalAlterConfigOperationTypes.SET, value }];
        return admin.incrementalAlterConfigs({ resources: [{ ...resource, configs }] });
      };
      assert.equal(await retention(), '604800000');
      await alter('123456');
      await eventually(async () => (await retention()) === '123456', 'the change is seen');
      assert.deepEqual(await refusals(alter('soon')), ['INVALID_CONFIG']);
    });
  });

  test('groups are listed, described, reset and deleted', async () => {
    const [topic, group] = [await createTopic(1), unique('platformatic')];
    await produce(Array.from({ length: 10 }, (_, i) => ({ topic, value: `${i}` })));
    await withAdmin(async (admin) => {
      await withConsumer(group, async (consumer) => {
        const got = await take(await consumer.consume({ topics: [topic], mode: 'earliest' }), 10);
        await got.at(-1).commit();
        assert.equal((await admin.listGroups()).get(group).state, 'Stable');
        const described = (await admin.describeGroups({ groups: [group] })).get(group);
        assert.deepEqual([described.state, [...described.members.values()].map(({ clientId }) => clientId)], ['Stable', ['node-tests']]);
        assert.deepEqual(await refusals(admin.deleteGroups({ groups: [group] })), ['NON_EMPTY_GROUP']);
      });
      const committed = async () => {
        const [{ topics }] = await admin.listConsumerGroupOffsets({ groups: [group] });
        return topics.flatMap(({ partitions }) => partitions.map(({ committedOffset }) => committedOffset));
      };
      assert.deepEqual(await committed(), [10n]);
      await admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets: [{ partition: 0, offset: 5n }] }] });
      assert.deepEqual(await committed(), [5n]);
      await admin.deleteConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionIndexes: [0] }] });
      assert.deepEqual(await committed(), []);
      await admin.deleteGroups({ groups: [group] });
      assert.ok(!(await admin.listGroups()).has(group));
    });
  });
});
