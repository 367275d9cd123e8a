// Rides: every rider says once a second where they are; three services read all of it, each into a table of its own.
//
// `ottla demo rides` shows the same at the size of a city. What `service` does by hand, and at least once, `ottla sink` does as
// one command, and exactly once.
const { setTimeout: sleep } = require('node:timers/promises');
const initSqlJs = require('sql.js'); // SQLite without a compiler; it keeps its tables in memory.
const { kafka } = require('./client');

const RIDERS = 500;
const SECONDS = 3;
const run = Date.now(); // Topics and groups of this run's own, so that the numbers at the end agree.
const topic = `rider-updates-${run}`;

// The name of a group, its table, and what it keeps of an update.
const SERVICES = {
  fare: ['fares (rider, second, paise)', (ride) => [ride.rider, ride.second, ride.metres * 2]],
  analytics: ['speeds (second, km_per_hour)', (ride) => [ride.second, ride.metres * 3.6]],
  customer: ['positions (rider, second, latitude, longitude)', (ride) => [ride.rider, ride.second, ride.latitude, ride.longitude]],
};

/** Inserts all rows in one transaction: many small messages in, one insert out is what a database is fast at. */
function insert(database, table, rows) {
  database.run('BEGIN');
  const statement = database.prepare(`INSERT INTO ${table} VALUES (${rows[0].map(() => '?')})`);
  for (const row of rows) statement.run(row);
  statement.free();
  database.run('COMMIT');
}

/** Reads until it has everything; returns how many rows its table has. */
async function service(name, database) {
  const [table, keep] = SERVICES[name];
  database.run(`CREATE TABLE ${table}`);
  const consumer = kafka.consumer({ groupId: `${name}-${run}`, maxWaitTimeInMs: 500 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let received = 0;
  await new Promise((complete) => {
    consumer.run({
      eachBatch: async ({ batch }) => {
        insert(database, table.split(' ')[0], batch.messages.map(({ value }) => keep(JSON.parse(value))));
        // After this function kafkajs commits the batch's offset. Killed in between, a service would insert these rows again
        // after its next start: orders.js shows the cure.
        received += batch.messages.length;
        if (received >= RIDERS * SECONDS) complete();
      },
    });
  });
  await consumer.disconnect();
  return database.exec(`SELECT count(*) FROM ${table.split(' ')[0]}`)[0].values[0][0];
}

/** Sends a location a second of every rider; returns how many the broker has acknowledged. */
async function ride() {
  const producer = kafka.producer({ idempotent: true }); // Sent again after a lost answer, a message is in the topic once.
  await producer.connect();
  let acknowledged = 0;
  for (let second = 0; second < SECONDS; second++) {
    const updates = Array.from({ length: RIDERS }, (_, number) => ({
      rider: `rider-${number}`,
      second,
      metres: (number + second) % 20,
      latitude: 12.9 + number / 1000,
      longitude: 77.5 + second / 1000,
    }));
    // The key keeps the updates of one rider in one partition, and so in order.
    const messages = updates.map((update) => ({ key: update.rider, value: JSON.stringify(update) }));
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
  await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: 4 }] });
  while (!(await admin.listTopics()).includes(topic)); // Kafka answers a moment before it knows the topic itself.
  const services = Object.keys(SERVICES).map((name) => service(name, new Database()));
  const [sent, fare, analytics, customer] = await Promise.all([ride(), ...services]);
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  console.log(`rides: ${sent} sent; rows: fare ${fare}, analytics ${analytics}, customer ${customer}`);
}

main().catch((error) => {
  console.error(`rides: ${error.message}`);
  process.exit(1);
});
