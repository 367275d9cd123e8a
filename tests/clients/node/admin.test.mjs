// Administration with kafkajs: topics, their configuration, offsets and groups.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import kafkajs from 'kafkajs';
import { bootstrap, createTopic, eventually, KEEP, unique, untilLed, Watch, withAdmin, withProducer } from './support/cluster.mjs';
import { Member, readAll, untilShares } from './support/member.mjs';

const { ConfigResourceTypes } = kafkajs; // Not among the names that Node finds in this CommonJS module.
const numbered = (count, partition = 0) => Array.from({ length: count }, (_, i) => ({ partition, value: `${i}` }));

describe('administration', { concurrency: true }, () => {
  test('a topic is created, listed, described, grown and deleted', () =>
    withAdmin(async (admin) => {
      const topic = unique('life');
      const plan = { waitForLeaders: false, topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] };
      assert.equal(await admin.createTopics(plan), true);
      await untilLed(admin, topic, 2);
      assert.equal(await admin.createTopics(plan), false, 'a second creation finds it there');
      assert.ok((await admin.listTopics()).includes(topic));
      const describe = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions;
      assert.deepEqual((await describe()).map((p) => p.partitionId).sort(), [0, 1]);
      assert.ok((await describe()).every((p) => p.leader >= 0 && p.isr.includes(p.leader) && p.replicas.includes(p.leader)));
      await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
      await eventually(async () => (await describe()).length === 5, 'five partitions');
      await admin.deleteTopics({ topics: [topic] });
      await eventually(async () => !(await admin.listTopics()).includes(topic), 'the topic is gone');
    }));

  test('a deleted topic can be created again at once, and begins empty', async () => {
    const topic = await createTopic(2);
    await withProducer({}, (producer) => producer.send({ topic, messages: numbered(10) }));
    await withAdmin(async (admin) => {
      await admin.deleteTopics({ topics: [topic] });
      await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: 1, replicationFactor: 1 }] });
      await untilLed(admin, topic, 1);
      const offsets = await admin.fetchTopicOffsets(topic);
      assert.deepEqual(offsets.map(({ partition, low, high }) => [partition, low, high]), [[0, '0', '0']]);
    });
    await withProducer({}, (producer) => producer.send({ topic, messages: [{ value: 'new' }] }));
    assert.deepEqual((await readAll(new Watch(), topic, 1, unique('again'))).map(({ value }) => value), ['new']);
  });

  test('an invalid name, too few partitions and too many replicas are refused', () =>
    withAdmin(async (admin) => {
      const type = async (spec) => {
        const refused = await admin.createTopics({ topics: [{ numPartitions: 1, replicationFactor: 1, ...spec }] }).catch((e) => e);
        return (refused.errors?.[0] ?? refused).type;
      };
      assert.equal(await type({ topic: 'no spaces allowed' }), 'INVALID_TOPIC_EXCEPTION');
      assert.equal(await type({ topic: unique('none'), numPartitions: 0 }), 'INVALID_PARTITIONS');
      assert.equal(await type({ topic: unique('many'), replicationFactor: 7 }), 'INVALID_REPLICATION_FACTOR');
    }));

  test('offsets are found by position and by timestamp', async () => {
    const topic = await createTopic(1, KEEP);
    await withProducer({}, (producer) =>
      producer.send({ topic, messages: [1000, 2000, 3000].map((timestamp) => ({ value: `${timestamp}`, timestamp: `${timestamp}` })) }));
    await withAdmin(async (admin) => {
      const [{ low, high, offset }] = await admin.fetchTopicOffsets(topic);
      assert.deepEqual([low, high, offset], ['0', '3', '3']);
      for (const [timestamp, expected] of [[0, '0'], [1000, '0'], [1001, '1'], [2000, '1'], [3000, '2'], [3001, '3']]) {
        const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, timestamp);
        assert.equal(found.offset, expected, `timestamp ${timestamp}`); // kafkajs answers the end where nothing is as late.
      }
    });
  });

  test('a consumer seeks to where a time begins', async () => {
    const [watch, topic] = [new Watch(), await createTopic(1, KEEP)];
    const stamped = [1000, 2000, 3000].map((timestamp) => ({ value: `${timestamp}`, timestamp: `${timestamp}` }));
    await withProducer({}, (producer) => producer.send({ topic, messages: stamped }));
    const [{ partition, offset }] = await withAdmin((admin) => admin.fetchTopicOffsetsByTimestamp(topic, 1001));
    const member = await new Member(watch, topic, unique('times')).start({ fromBeginning: false });
    try {
      await untilShares(watch, [member], [1]); // kafkajs can only seek once it has joined.
      member.consumer.seek({ topic, partition, offset });
      await watch.until(() => member.messages.length === 2, () => `two messages, got ${member.messages.length}`);
      assert.deepEqual(member.messages.map(({ value }) => value), ['2000', '3000']);
    } finally {
      await member.stop();
    }
  });

  test('records below an offset can be deleted', async () => {
    const topic = await createTopic(1);
    await withProducer({}, (producer) => producer.send({ topic, messages: numbered(10) }));
    await withAdmin(async (admin) => {
      await admin.fetchTopicOffsets(topic); // kafkajs deletes only where it has metadata already.
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] });
      const [{ low, high }] = await admin.fetchTopicOffsets(topic);
      assert.deepEqual([low, high], ['4', '10']);
    });
    const offsets = (await readAll(new Watch(), topic, 6, unique('trimmed'))).map(({ offset }) => offset);
    assert.deepEqual(offsets, [4, 5, 6, 7, 8, 9]);
  });

  test('the configuration of a topic is described and changed', async () => {
    const topic = await createTopic(1, { configEntries: [{ name: 'cleanup.policy', value: 'compact' }] });
    await withAdmin(async (admin) => {
      const config = async () => {
        const { resources } = await admin.describeConfigs({
          includeSynonyms: true,
          resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
        });
        return Object.fromEntries(resources[0].configEntries.map((entry) => [entry.configName, entry]));
      };
      const before = await config();
      assert.equal(before['cleanup.policy'].configValue, 'compact');
      assert.equal(before['cleanup.policy'].isDefault, false);
      assert.equal(before['retention.ms'].isDefault, true);
      await admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: 'retention.ms', value: '123456' }] }],
      });
      await eventually(async () => (await config())['retention.ms'].configValue === '123456', 'the change is seen');
      assert.equal((await config())['cleanup.policy'].configValue, 'delete', 'AlterConfigs replaces the whole set');
    });
  });

  test('groups are listed, described, reset and deleted', async () => {
    const watch = new Watch();
    const [topic, groupId] = [await createTopic(2), unique('admin-group')];
    await withProducer({}, (producer) => producer.send({ topic, messages: numbered(8) }));
    const member = await new Member(watch, topic, groupId).start();
    await untilShares(watch, [member], [2]);
    await watch.until(() => member.messages.length === 8, '8 messages');
    await withAdmin(async (admin) => {
      assert.ok((await admin.listGroups()).groups.some((group) => group.groupId === groupId && group.protocolType === 'consumer'));
      const described = async () => (await admin.describeGroups([groupId])).groups[0];
      const live = await described();
      assert.deepEqual([live.state, live.protocol, live.members.length], ['Stable', 'RoundRobinAssigner', 1]);
      assert.equal(live.members[0].clientId, 'node-tests');
      const busy = await admin.deleteGroups([groupId]).catch((e) => e);
      assert.equal(busy.groups[0].error.type, 'NON_EMPTY_GROUP');

      await member.stop();
      assert.equal((await described()).state, 'Empty');
      const committed = async () => {
        const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] });
        return Object.fromEntries(partitions.map(({ partition, offset }) => [partition, offset]));
      };
      assert.equal((await committed())[0], '8');
      await admin.resetOffsets({ groupId, topic, earliest: true });
      assert.equal((await committed())[0], '-2', 'kafkajs commits the name of the earliest offset, not its value');
      await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '5' }] });
      assert.equal((await committed())[0], '5');
      await admin.deleteGroups([groupId]);
      assert.ok(!(await admin.listGroups()).groups.some((group) => group.groupId === groupId));
      assert.equal((await committed())[0], '-1', 'a deleted group has committed nothing');
    });
  });

  test('the cluster names its brokers and its controller', () =>
    withAdmin(async (admin) => {
      const { brokers, controller, clusterId } = await admin.describeCluster();
      assert.equal(brokers.length, 1);
      assert.equal(brokers[0].nodeId, controller);
      assert.equal(`${brokers[0].host}:${brokers[0].port}`, bootstrap);
      assert.ok(clusterId.length > 0);
    }));
});
