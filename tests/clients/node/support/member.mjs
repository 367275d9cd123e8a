// One member of a consumer group: what it owns now, and everything it was given.
import { kafka } from './cluster.mjs';

export const SESSION_MS = 6_000; // The least that Kafka's default `group.min.session.timeout.ms` allows.
export const HEARTBEAT_MS = 300;

export class Member {
  /** Partitions of `topic` owned in the current generation; null while the group rebalances. */
  owned = null;
  /** Whether the coordinator has answered a heartbeat of the current generation. */
  settled = false;
  messages = [];
  crash = null;

  constructor(watch, topic, groupId, options = {}) {
    this.watch = watch;
    this.topic = topic;
    this.consumer = kafka(options.clientId).consumer({
      groupId,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: 10_000,
      heartbeatInterval: HEARTBEAT_MS,
      maxWaitTimeInMs: 100,
      ...options.consumer,
    });
  }

  /** Joins the group; the first assignment arrives later, as an event. */
  async start({ autoCommit = true, fromBeginning = true, onMessage = () => {} } = {}) {
    const { events } = this.consumer;
    this.consumer.on(events.GROUP_JOIN, ({ payload }) => {
      this.owned = [...(payload.memberAssignment[this.topic] ?? [])].sort((a, b) => a - b);
      this.settled = false;
      this.watch.changed();
    });
    this.consumer.on(events.HEARTBEAT, () => {
      this.settled = this.owned !== null;
      this.watch.changed();
    });
    this.consumer.on(events.REBALANCING, () => {
      this.owned = null;
      this.watch.changed();
    });
    this.consumer.on(events.CRASH, ({ payload }) => {
      this.crash = payload.error;
      this.watch.changed();
    });
    await this.consumer.connect();
    await this.consumer.subscribe({ topic: this.topic, fromBeginning });
    await this.consumer.run({
      autoCommit,
      eachMessage: async ({ partition, message }) => {
        const seen = {
          partition,
          offset: Number(message.offset),
          key: message.key?.toString() ?? null,
          value: message.value?.toString() ?? null,
          headers: message.headers,
          timestamp: Number(message.timestamp),
        };
        this.messages.push(seen);
        await onMessage(seen);
        this.watch.changed();
      },
    });
    return this;
  }

  /** Leaves the group. A kafkajs consumer that is told to while it joins may go on as a member without a master, so it settles first. */
  async stop() {
    await this.watch.until(() => this.settled, 'a heartbeat in the current generation');
    await this.consumer.disconnect();
    this.owned = [];
    this.watch.changed();
  }
}

/** How many partitions each member owns, most first; null while any member has no assignment or two own the same partition. */
export function shares(members, partitions) {
  if (members.some((member) => member.owned === null)) return null;
  const all = members.flatMap((member) => member.owned);
  if (all.length !== partitions || new Set(all).size !== partitions) return null;
  return members.map((member) => member.owned.length).sort((a, b) => b - a);
}

/** Waits until the members own the partitions in these shares, for example [2, 1, 1]. */
export function untilShares(watch, members, expected, patience) {
  const partitions = expected.reduce((sum, share) => sum + share, 0);
  return watch.until(
    () => JSON.stringify(shares(members, partitions)) === JSON.stringify(expected),
    () => `shares ${expected.join('+')}; they own ${JSON.stringify(members.map((member) => member.owned))}`,
    patience,
  );
}

/** Where a message lies: one that is given out again lies where it lay. */
const place = ({ partition, offset }) => `${partition}/${offset}`;

/** Reads `count` messages of a topic from its beginning with a group of its own, messages of one identity counting once. */
export async function readAll(watch, topic, count, groupId, identity = place) {
  const reader = await new Member(watch, topic, groupId).start();
  const read = () => [...new Map(reader.messages.map((message) => [identity(message), message])).values()];
  try {
    await watch.until(() => read().length >= count, () => `${count} messages, got ${read().length}`);
    return read();
  } finally {
    await reader.stop();
  }
}
