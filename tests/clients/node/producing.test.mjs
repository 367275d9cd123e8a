// Producing: where a message lands, what survives the way through the broker, and what the acknowledgement says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { CompressionTypes } from 'kafkajs';
import './support/codecs.mjs';
import { createTopic, KEEP, unique, Watch, withAdmin, withProducer } from './support/cluster.mjs';
import { readAll } from './support/member.mjs';

/** Keys and the hash that every client must give them (`Utils.murmur2` of the Java client, sign bit cleared). */
const vectors = JSON.parse(readFileSync(new URL('../murmur2.json', import.meta.url), 'utf8'));

describe('producing', { concurrency: true }, () => {
  test('an explicit partition is obeyed, and the answer names partition and offset', async () => {
    const topic = await createTopic(3);
    await withProducer({}, async (producer) => {
      const answers = await producer.send({ topic, messages: [0, 1, 1, 2, 2, 2].map((partition) => ({ partition, value: `p${partition}` })) });
      const first = answers.map(({ partition, baseOffset, errorCode }) => [partition, baseOffset, errorCode]).sort();
      assert.deepEqual(first, [[0, '0', 0], [1, '0', 0], [2, '0', 0]]);
      const [next] = await producer.send({ topic, messages: [{ partition: 2, value: 'p2' }] });
      assert.equal(next.baseOffset, '3');
    });
    const messages = await readAll(new Watch(), topic, 7, unique('explicit'));
    assert.ok(messages.every(({ partition, value }) => value === `p${partition}`));
    assert.deepEqual([0, 1, 2].map((p) => messages.filter(({ partition }) => partition === p).length), [1, 2, 4]);
  });

  test('keyed messages land where murmur2 says, as with every other client', async () => {
    const topic = await createTopic(6);
    await withProducer({}, (producer) => producer.send({ topic, messages: vectors.map(({ key }) => ({ key, value: key })) }));
    // A broker that leads some of the new partitions only has kafkajs send all messages again.
    const messages = await readAll(new Watch(), topic, vectors.length, unique('keyed'), ({ key }) => key);
    assert.deepEqual(
      Object.fromEntries(messages.map(({ key, partition }) => [key, partition])),
      Object.fromEntries(vectors.map(({ key, hash }) => [key, hash % 6])),
    );
  });

  test('a custom partitioner decides', async () => {
    const topic = await createTopic(2);
    const byLocation = () => ({ message }) => (JSON.parse(message.value).location === 'north' ? 0 : 1);
    const riders = [['tony', 'south'], ['ann', 'north'], ['tony', 'north'], ['bo', 'south']];
    await withProducer({ createPartitioner: byLocation }, (producer) =>
      producer.send({ topic, messages: riders.map(([key, location]) => ({ key, value: JSON.stringify({ location }) })) }));
    const messages = await readAll(new Watch(), topic, riders.length, unique('custom'));
    for (const { partition, value } of messages) assert.equal(partition, JSON.parse(value).location === 'north' ? 0 : 1);
  });

  test('keys, values, headers and timestamps come back as they were, tombstones and empty values included', async () => {
    const topic = await createTopic(1, KEEP);
    const messages = [
      { key: null, value: 'no key', timestamp: '1600000000000' },
      { key: 'tombstone', value: null, timestamp: '1600000000001' },
      { key: '', value: '', timestamp: '1600000000002' },
      { key: 'ключ', value: '🚕', timestamp: '1600000000003', headers: { one: '1', many: ['a', 'b'], empty: '' } },
      { key: 'large', value: 'x'.repeat(500_000), timestamp: '1600000000004' },
    ];
    await withProducer({}, (producer) => producer.send({ topic, messages }));
    const got = await readAll(new Watch(), topic, messages.length, unique('intact'));
    assert.deepEqual(got.map(({ key, value, timestamp }) => ({ key, value, timestamp: `${timestamp}` })),
      messages.map(({ key, value, timestamp }) => ({ key, value, timestamp })));
    const headers = got[3].headers;
    assert.equal(headers.one.toString(), '1');
    assert.deepEqual(headers.many.map(String), ['a', 'b']);
    assert.equal(headers.empty.toString(), '');
  });

  for (const codec of ['None', 'GZIP', 'Snappy', 'LZ4', 'ZSTD']) {
    test(`${codec} batches are given out as they came in`, async () => {
      const topic = await createTopic(1);
      const messages = Array.from({ length: 500 }, (_, i) => ({ key: `${i % 7}`, value: `value ${i} `.repeat(20) }));
      await withProducer({}, (producer) => producer.send({ topic, messages, compression: CompressionTypes[codec] }));
      const got = await readAll(new Watch(), topic, messages.length, unique('codec'));
      assert.deepEqual(got.map(({ key, value }) => ({ key, value })), messages);
    });
  }

  test('an idempotent producer writes each message once', async () => {
    const topic = await createTopic(1);
    await withProducer({ idempotent: true, maxInFlightRequests: 1 }, async (producer) => {
      for (let i = 0; i < 20; i++) await producer.send({ topic, acks: -1, messages: [{ value: `${i}` }] });
    });
    const got = await readAll(new Watch(), topic, 20, unique('idempotent'));
    assert.deepEqual(got.map(({ value, offset }) => [value, offset]), Array.from({ length: 20 }, (_, i) => [`${i}`, i]));
  });

  for (const acks of [0, 1, -1]) {
    test(`acks=${acks} reaches the log`, async () => {
      const topic = await createTopic(1);
      await withProducer({}, (producer) => producer.send({ topic, acks, messages: [{ value: 'hello' }] }));
      const [{ value }] = await readAll(new Watch(), topic, 1, unique('acks'));
      assert.equal(value, 'hello');
    });
  }

  test('one send may carry several topics', async () => {
    const topics = await Promise.all([createTopic(1), createTopic(2)]);
    await withProducer({}, (producer) =>
      producer.sendBatch({ topicMessages: topics.map((topic) => ({ topic, messages: [{ value: topic }] })) }));
    for (const topic of topics) {
      const [{ value }] = await readAll(new Watch(), topic, 1, unique('several'));
      assert.equal(value, topic);
    }
  });

  test('producing to an unknown topic creates it', async () => {
    const topic = unique('created-by-producing');
    await withProducer({ allowAutoTopicCreation: true }, (producer) => producer.send({ topic, messages: [{ value: 'first' }] }));
    const [{ value }] = await readAll(new Watch(), topic, 1, unique('auto'));
    assert.equal(value, 'first');
    assert.ok((await withAdmin((admin) => admin.listTopics())).includes(topic));
  });

  test('a message above max.message.bytes is refused', async () => {
    const topic = await createTopic(1, { configEntries: [{ name: 'max.message.bytes', value: '10000' }] });
    await withProducer({ retry: { retries: 0 } }, async (producer) => {
      await assert.rejects(producer.send({ topic, messages: [{ value: 'x'.repeat(20_000) }] }),
        (error) => (error.cause ?? error).type === 'MESSAGE_TOO_LARGE');
      await producer.send({ topic, messages: [{ value: 'small enough' }] });
    });
  });
});
