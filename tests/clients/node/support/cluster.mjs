// The broker under test, topics with names of their own, and awaiting what must happen.
//
// - Nothing sleeps: a test waits on a `Watch`, which is told of every event that could change what the test waits for.
// - Every topic and group has a name of its own, so that test files may run beside each other against one broker.
import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';

export const bootstrap = process.env.OTTLA_BOOTSTRAP;
if (!bootstrap) throw new Error('OTTLA_BOOTSTRAP names no broker (host:port)');

/** How long anything but a session timeout may take: generous, because continuous integration is slow. */
export const PATIENCE_MS = 30_000;

export function kafka(clientId = 'node-tests', address = bootstrap) {
  return new Kafka({
    clientId,
    brokers: [address],
    logLevel: process.env.KAFKAJS_LOG ? logLevel.DEBUG : logLevel.NOTHING,
    retry: { initialRetryTime: 50, maxRetryTime: 1000, retries: 10 },
  });
}

export const unique = (prefix) => `${prefix}-${randomUUID().slice(0, 8)}`;

/** Runs `use` with a connected admin client. */
export async function withAdmin(use, address = bootstrap) {
  const admin = kafka(undefined, address).admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Runs `use` with a connected producer. */
export async function withProducer(options, use) {
  const { Partitioners } = await import('kafkajs');
  const producer = kafka().producer({ createPartitioner: Partitioners.DefaultPartitioner, ...options });
  await producer.connect();
  try {
    return await use(producer);
  } finally {
    await producer.disconnect();
  }
}

/** Creates a topic of this many partitions and returns its name. */
export async function createTopic(numPartitions, { prefix = 'node', configEntries = [] } = {}) {
  const topic = unique(prefix);
  await withAdmin(async (admin) => {
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] });
    await untilLed(admin, topic, numPartitions);
  });
  return topic;
}

/** Waits until every partition has a leader: Kafka answers a creation a moment before its brokers have heard of it. */
export function untilLed(admin, topic, numPartitions) {
  return eventually(async () => {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      return topics[0].partitions.filter(({ leader }) => leader >= 0).length === numPartitions;
    } catch (error) {
      // kafkajs itself trips over an answer that lacks the topic: a TypeError.
      if (error instanceof TypeError || ['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE'].includes(error.type)) return false;
      throw error;
    }
  }, `${topic} has ${numPartitions} partitions with leaders`);
}

/** Asks again until `condition` holds: for what a broker may do a moment after it has answered, and tells nobody of. */
export async function eventually(condition, what, patience = PATIENCE_MS) {
  for (const deadline = Date.now() + patience; !(await condition()); ) {
    if (Date.now() > deadline) throw new Error(`not within ${patience} ms: ${what}`);
  }
}

/** Timestamps of long ago outlive the broker's retention only where it is switched off. */
export const KEEP = { configEntries: [{ name: 'retention.ms', value: '-1' }] };

/** A condition over state that events change: `changed()` after each event, `until()` to wait for the condition. */
export class Watch {
  #waiting = new Set();

  changed() {
    for (const check of this.#waiting) check();
  }

  until(condition, what, patience = PATIENCE_MS) {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`not within ${patience} ms: ${typeof what === 'function' ? what() : what}`));
      }, patience);
      this.#waiting.add(check);
      check();
    });
  }
}
