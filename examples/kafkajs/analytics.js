// Analytics: what users do goes to two groups at once; Storage keeps every event, Analytics a count of each kind.
//
// `ottla demo analytics` shows the same live. What Storage does by hand, and at least once, `ottla sink` does as one command, and
// exactly once.
const { setTimeout: sleep } = require('node:timers/promises');
const initSqlJs = require('sql.js'); // SQLite without a compiler; it keeps its tables in memory.
const { kafka } = require('./client');

const USERS = 200;
const EVENTS = 3000;
const ACTIONS = ['view', 'search', 'like', 'buy'];
const run = Date.now(); // Topics and groups of this run's own, so that the numbers at the end agree.
const topic = `UserActivity-${run}`;

function store(database, events) {
  const statement = database.prepare('INSERT INTO events VALUES (?, ?)');
  for (const { user, action } of events) statement.run([user, action]);
  statement.free();
}

/** Adds a whole batch up before the database hears of it: at most four rows change, however many events there are. */
function count(database, events) {
  const times = new Map();
  for (const { action } of events) times.set(action, (times.get(action) ?? 0) + 1);
  const statement = database.prepare('INSERT INTO actions VALUES (?, ?) ON CONFLICT (action) DO UPDATE SET times = times + excluded.times');
  for (const row of times) statement.run(row);
  statement.free();
}

// The name of a group, its table, what it writes there, and how many events that table knows of.
const GROUPS = {
  Storage: ['CREATE TABLE events (user, action)', store, 'SELECT count(*) FROM events'],
  Analytics: ['CREATE TABLE actions (action PRIMARY KEY, times)', count, 'SELECT sum(times) FROM actions'],
};

/** Reads until it has everything; returns how many events its table knows of. */
async function read(name, database) {
  const [create, write, total] = GROUPS[name];
  database.run(create);
  const consumer = kafka.consumer({ groupId: `${name}-${run}`, maxWaitTimeInMs: 500 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let received = 0;
  await new Promise((complete) => {
    consumer.run({
      eachBatch: async ({ batch }) => {
        database.run('BEGIN'); // One transaction for the batch.
        write(database, batch.messages.map(({ value }) => JSON.parse(value)));
        database.run('COMMIT');
        received += batch.messages.length;
        if (received >= EVENTS) complete();
      },
    });
  });
  await consumer.disconnect();
  return database.exec(total)[0].values[0][0];
}

/** Sends what the users do; returns how many events the broker has acknowledged. */
async function beActive() {
  const any = (number) => Math.floor(Math.random() * number);
  const producer = kafka.producer({ idempotent: true }); // Sent again after a lost answer, a message is in the topic once.
  await producer.connect();
  let acknowledged = 0;
  while (acknowledged < EVENTS) {
    const messages = Array.from({ length: EVENTS / 3 }, () => {
      const event = { user: `user-${any(USERS)}`, action: ACTIONS[any(ACTIONS.length)] };
      return { key: event.user, value: JSON.stringify(event) };
    });
    await producer.send({ topic, messages });
    acknowledged += messages.length;
    await sleep(1000);
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
  const groups = Object.keys(GROUPS).map((name) => read(name, new Database()));
  const [sent, stored, counted] = await Promise.all([beActive(), ...groups]);
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  console.log(`analytics: ${sent} sent; Storage has ${stored} rows, Analytics counted ${counted}`);
}

main().catch((error) => {
  console.error(`analytics: ${error.message}`);
  process.exit(1);
});
