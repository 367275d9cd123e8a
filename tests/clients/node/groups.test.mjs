// Consumer groups: who owns what, and what each member is given.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { AssignerProtocol } from 'kafkajs';
import { createTopic, unique, Watch, withAdmin, withProducer } from './support/cluster.mjs';
import { Member, untilShares } from './support/member.mjs';

describe('groups', { concurrency: true }, () => {
  const started = [];
  after(() => Promise.all(started.map((member) => member.consumer.disconnect())));

  const join = async (watch, topic, group, options, run) => {
    const member = new Member(watch, topic, group, options);
    started.push(member);
    return member.start(run);
  };

  const numbered = (count, partition) =>
    Array.from({ length: count }, (_, i) => ({ partition: partition ?? i % 4, key: `k${i}`, value: `${i}` }));

  test('one to five members share four partitions as 4, 2+2, 2+1+1, 1+1+1+1 and 1+1+1+1+0', async () => {
    const watch = new Watch();
    const [topic, group] = [await createTopic(4), unique('sharing')];
    const members = [];
    for (const expected of [[4], [2, 2], [2, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1, 0]]) {
      members.push(await join(watch, topic, group));
      await untilShares(watch, members, expected);
    }
  });

  test('of four members and three partitions one stays idle', async () => {
    const watch = new Watch();
    const [topic, group] = [await createTopic(3), unique('idle')];
    const members = await Promise.all([1, 2, 3, 4].map(() => join(watch, topic, group)));
    await untilShares(watch, members, [1, 1, 1, 0]);
  });

  test('members that leave hand their partitions to those who stay', async () => {
    const watch = new Watch();
    const [topic, group] = [await createTopic(4), unique('leaving')];
    const members = await Promise.all([1, 2, 3].map(() => join(watch, topic, group)));
    await untilShares(watch, members, [2, 1, 1]);
    await members.pop().stop();
    await untilShares(watch, members, [2, 2]);
    await members.pop().stop();
    await untilShares(watch, members, [4]);
  });

  test('two groups each receive every message', async () => {
    const watch = new Watch();
    const topic = await createTopic(4);
    const groups = await Promise.all(
      [unique('north'), unique('south')].map((group) =>
        Promise.all([join(watch, topic, group), join(watch, topic, group)])),
    );
    await withProducer({}, (producer) => producer.send({ topic, messages: numbered(200) }));
    for (const members of groups) {
      const got = () => members.flatMap((member) => member.messages.map((message) => message.value));
      await watch.until(() => new Set(got()).size === 200, () => `200 messages, got ${got().length}`);
    }
  });

  test('one partition and one consumer are a first-in first-out queue', async () => {
    const watch = new Watch();
    const [topic, group] = [await createTopic(1), unique('queue')];
    const member = await join(watch, topic, group);
    await withProducer({}, async (producer) => {
      for (let from = 0; from < 200; from += 20) {
        await producer.send({ topic, messages: numbered(200, 0).slice(from, from + 20) });
      }
    });
    await watch.until(() => member.messages.length >= 200, '200 messages');
    assert.deepEqual(member.messages.map((message) => message.value), Array.from({ length: 200 }, (_, i) => `${i}`));
    assert.deepEqual(member.messages.map((message) => message.offset), Array.from({ length: 200 }, (_, i) => i));
  });

  test('order within a partition is kept while members join and leave', async () => {
    const watch = new Watch();
    const [topic, group] = [await createTopic(4), unique('order')];
    const firstSeen = [[], [], [], []];
    const onMessage = ({ partition, value }) => {
      if (!firstSeen[partition].includes(value)) firstSeen[partition].push(value);
    };
    const first = await join(watch, topic, group, {}, { onMessage });
    await untilShares(watch, [first], [4]);
    await withProducer({}, async (producer) => {
      const messages = numbered(400);
      await producer.send({ topic, messages: messages.slice(0, 100) });
      const second = await join(watch, topic, group, {}, { onMessage });
      await producer.send({ topic, messages: messages.slice(100, 200) });
      await untilShares(watch, [first, second], [2, 2]);
      await producer.send({ topic, messages: messages.slice(200, 300) });
      await second.stop();
      await producer.send({ topic, messages: messages.slice(300) });
    });
    await watch.until(() => firstSeen.every((values) => values.length === 100), () => firstSeen.map((v) => v.length).join());
    firstSeen.forEach((values, partition) =>
      assert.deepEqual(values.map(Number), Array.from({ length: 100 }, (_, i) => i * 4 + partition)));
  });

  test('a group resumes where it committed', async () => {
    const watch = new Watch();
    const [topic, group] = [await createTopic(1), unique('resume')];
    await withProducer({}, (producer) => producer.send({ topic, messages: numbered(10, 0) }));
    const first = await join(watch, topic, group, {}, { autoCommit: false });
    await watch.until(() => first.messages.length >= 10, '10 messages');
    await first.consumer.commitOffsets([{ topic, partition: 0, offset: '6', metadata: 'six are done' }]);
    await first.stop();
    const second = await join(watch, topic, group);
    await watch.until(() => second.messages.length >= 4, '4 messages');
    assert.deepEqual(second.messages.map((message) => message.offset), [6, 7, 8, 9]);
    await second.stop(); // Leaving commits what was resolved.
    await withAdmin(async (admin) => {
      const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      assert.deepEqual(partitions.map(({ partition, offset }) => [partition, offset]), [[0, '10']]);
    });
  });

  test('a member without a protocol in common with its group is refused', async () => {
    const watch = new Watch();
    const [topic, group] = [await createTopic(2), unique('protocols')];
    const member = await join(watch, topic, group);
    await untilShares(watch, [member], [2]);
    const stranger = ({ cluster }) => ({
      name: 'StrangeAssigner',
      version: 1,
      assign: async () => [],
      protocol: ({ topics }) => ({
        name: 'StrangeAssigner',
        metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }),
      }),
      cluster,
    });
    const refused = new Member(watch, topic, group, { consumer: { partitionAssigners: [stranger], retry: { retries: 0 } } });
    started.push(refused);
    const outcome = await refused.start().then(() => watch.until(() => refused.crash, 'a crash').then(() => refused.crash), (e) => e);
    assert.equal((outcome.cause ?? outcome).type, 'INCONSISTENT_GROUP_PROTOCOL');
    assert.deepEqual(member.owned, [0, 1], 'the group itself is not disturbed');
  });
});
