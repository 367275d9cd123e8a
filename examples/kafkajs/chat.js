// Chat: one room; every gateway is a group of its own and hands each message to its users; storage and notifications work behind.
//
// `ottla demo chat` shows the same with 5,000 users. What `keep` does by hand, and at least once, `ottla sink` does as one command,
// and exactly once.
const { setTimeout: sleep } = require('node:timers/promises');
const initSqlJs = require('sql.js'); // SQLite without a compiler; it keeps its tables in memory.
const { kafka } = require('./client');

const USERS = 800;
const GATEWAYS = 4;
const MESSAGES = 200;
const run = Date.now(); // Topics and groups of this run's own, so that the numbers at the end agree.
const topic = `ChatMessages-${run}`;

// The name of a group, its table, and what it keeps of a message.
const KEEPERS = {
  storage: ['messages (number, author, text)', ({ number, author, text }) => [number, author, text]],
  notifications: ['notifications (user, number)', ({ mentions, number }) => [mentions, number]],
};

/** A consumer that has its partitions. */
async function join(name, eachBatch) {
  const consumer = kafka.consumer({ groupId: `${name}-${run}`, maxWaitTimeInMs: 500 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  await consumer.run({ eachBatch });
  await joined;
  return consumer;
}

/** Has a group of its own, so that it gets every message; in the group of another gateway it would get a part of them. */
function gateway(number, inboxes, latenciesMs, received) {
  return join(`gateway-${number}`, async ({ batch }) => {
    for (const { value } of batch.messages) {
      const said = JSON.parse(value);
      for (const inbox of inboxes) inbox.push(said.text);
      latenciesMs.push(Date.now() - said.sentMs);
    }
    received(batch.messages.length);
  });
}

/** Puts what has come into its table, a batch in a transaction. */
function keep(name, database, received) {
  const [table, fields] = KEEPERS[name];
  database.run(`CREATE TABLE ${table}`);
  return join(name, async ({ batch }) => {
    database.run('BEGIN');
    for (const { value } of batch.messages) {
      const row = fields(JSON.parse(value));
      database.run(`INSERT INTO ${table.split(' ')[0]} VALUES (${row.map(() => '?')})`, row);
    }
    database.run('COMMIT');
    received(batch.messages.length);
  });
}

/** Users say something every 10 ms; returns how many messages the broker has acknowledged. */
async function talk() {
  const producer = kafka.producer({ idempotent: true }); // Sent again after a lost answer, a message is in the topic once.
  await producer.connect();
  let acknowledged = 0;
  for (let number = 0; number < MESSAGES; number++) {
    const friend = `user-${(number * 7) % USERS}`;
    const said = { number, author: `user-${number % USERS}`, mentions: friend, text: `hello @${friend}`, sentMs: Date.now() };
    // One room is one key: its messages have one order, the same for everyone.
    await producer.send({ topic, messages: [{ key: 'room-1', value: JSON.stringify(said) }] });
    acknowledged += 1;
    await sleep(10);
  }
  await producer.disconnect();
  return acknowledged;
}

async function main() {
  const { Database } = await initSqlJs();
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: 3 }] });
  while (!(await admin.listTopics()).includes(topic)); // Kafka answers a moment before it knows the topic itself.

  const inboxes = Array.from({ length: USERS }, () => []);
  const latenciesMs = [];
  const databases = { storage: new Database(), notifications: new Database() };
  let missing = MESSAGES * (GATEWAYS + Object.keys(KEEPERS).length);
  let complete;
  const completed = new Promise((resolve) => (complete = resolve));
  const received = (messages) => (missing -= messages) <= 0 && complete();

  const gateways = Array.from({ length: GATEWAYS }, (_, number) =>
    gateway(number, inboxes.filter((_, user) => user % GATEWAYS === number), latenciesMs, received),
  );
  const keepers = Object.keys(KEEPERS).map((name) => keep(name, databases[name], received));
  const consumers = await Promise.all([...gateways, ...keepers]);
  const sent = await talk();
  await completed;
  await Promise.all(consumers.map((consumer) => consumer.disconnect()));
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();

  latenciesMs.sort((a, b) => a - b);
  const [p50, p99] = [50, 99].map((percent) => latenciesMs[Math.floor((latenciesMs.length * percent) / 100)]);
  console.log(`latency: p50 ${p50} ms, p99 ${p99} ms`);
  const handed = inboxes.reduce((sum, inbox) => sum + inbox.length, 0);
  const rows = (name, table) => databases[name].exec(`SELECT count(*) FROM ${table}`)[0].values[0][0];
  const [stored, notified] = [rows('storage', 'messages'), rows('notifications', 'notifications')];
  console.log(`chat: ${sent} sent; ${handed} handed to ${USERS} users; rows: storage ${stored}, notifications ${notified}`);
}

main().catch((error) => {
  console.error(`chat: ${error.message}`);
  process.exit(1);
});
