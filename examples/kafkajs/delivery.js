// Delivery: partners say where they are, a partition for each region; a customer follows one of them, storage keeps the history.
//
// `ottla demo delivery` shows the same with 100,000 partners. What `store` does by hand, and at least once, `ottla sink` does as one
// command for each topic, and exactly once.
const { setTimeout: sleep } = require('node:timers/promises');
const initSqlJs = require('sql.js'); // SQLite without a compiler; it keeps its tables in memory.
const { kafka } = require('./client');

const REGIONS = ['north', 'east', 'south', 'west'];
const PARTNERS = 400;
const HOTELS = 10;
const SECONDS = 3;
const FOLLOWED = 'partner-42';

const run = Date.now(); // Topics and groups of this run's own, so that the numbers at the end agree.
const locations = `delivery-location-updates-${run}`;
const hotelUpdates = `hotel-updates-${run}`;

/** The customer, in a group of its own: others share no work with it. Returns how often it saw the partner. */
async function follow() {
  const consumer = kafka.consumer({ groupId: `delivery-customer-${run}`, maxWaitTimeInMs: 500 });
  await consumer.connect();
  await consumer.subscribe({ topic: locations, fromBeginning: true });
  let seen = 0;
  await new Promise((complete) => {
    consumer.run({
      eachMessage: async ({ message }) => {
        if (message.key.toString() !== FOLLOWED) return;
        const { latitude, longitude } = JSON.parse(message.value);
        console.log(`${FOLLOWED} is at ${latitude.toFixed(3)}, ${longitude.toFixed(3)}`);
        seen += 1;
        if (seen >= SECONDS) complete();
      },
    });
  });
  await consumer.disconnect();
  return seen;
}

/** Storage: both topics into their tables, a batch in a transaction. Returns how many rows each has. */
async function store(database) {
  database.run('CREATE TABLE history (partner, region, second, latitude, longitude)');
  database.run('CREATE TABLE hotel_updates (hotel, second, ready)');
  const inserts = {
    [locations]: 'INSERT INTO history VALUES ($partner, $region, $second, $latitude, $longitude)',
    [hotelUpdates]: 'INSERT INTO hotel_updates VALUES ($hotel, $second, $ready)',
  };
  const consumer = kafka.consumer({ groupId: `delivery-storage-${run}`, maxWaitTimeInMs: 500 });
  await consumer.connect();
  await consumer.subscribe({ topics: [locations, hotelUpdates], fromBeginning: true });
  let received = 0;
  await new Promise((complete) => {
    consumer.run({
      eachBatch: async ({ batch }) => {
        database.run('BEGIN');
        const statement = database.prepare(inserts[batch.topic]);
        for (const { value } of batch.messages) {
          const fields = Object.entries(JSON.parse(value));
          statement.run(Object.fromEntries(fields.map(([name, field]) => [`$${name}`, field])));
        }
        statement.free();
        database.run('COMMIT');
        received += batch.messages.length;
        if (received >= (PARTNERS + HOTELS) * SECONDS) complete();
      },
    });
  });
  await consumer.disconnect();
  return ['history', 'hotel_updates'].map((table) => database.exec(`SELECT count(*) FROM ${table}`)[0].values[0][0]);
}

/** Sends a location a second of every partner and an update of every hotel; returns how many of each are acknowledged. */
async function deliver() {
  const producer = kafka.producer({ idempotent: true }); // Sent again after a lost answer, a message is in the topic once.
  await producer.connect();
  const acknowledged = [0, 0];
  for (let second = 0; second < SECONDS; second++) {
    const moves = Array.from({ length: PARTNERS }, (_, number) => {
      const partition = number % REGIONS.length;
      const where = { latitude: 18.9 + number / 1000, longitude: 72.8 + second / 1000 };
      const update = { partner: `partner-${number}`, region: REGIONS[partition], second, ...where };
      return { partition, key: update.partner, value: JSON.stringify(update) };
    });
    const meals = Array.from({ length: HOTELS }, (_, number) => {
      const update = { hotel: `hotel-${number}`, second, ready: second + number };
      return { key: update.hotel, value: JSON.stringify(update) };
    });
    await producer.sendBatch({ topicMessages: [{ topic: locations, messages: moves }, { topic: hotelUpdates, messages: meals }] });
    acknowledged[0] += moves.length;
    acknowledged[1] += meals.length;
    await sleep(1000);
  }
  await producer.disconnect();
  return acknowledged;
}

async function main() {
  const { Database } = await initSqlJs();
  const admin = kafka.admin();
  await admin.connect();
  const topics = [{ topic: locations, numPartitions: REGIONS.length }, { topic: hotelUpdates, numPartitions: 1 }];
  await admin.createTopics({ waitForLeaders: false, topics });
  while (!(await admin.listTopics()).includes(locations)); // Kafka answers a moment before it knows the topic itself.
  const [sent, rows, seen] = await Promise.all([deliver(), store(new Database()), follow()]);
  await admin.deleteTopics({ topics: [locations, hotelUpdates] });
  await admin.disconnect();
  console.log(
    `delivery: ${sent[0]} locations sent, ${rows[0]} rows; ${sent[1]} hotel updates sent, ${rows[1]} rows; ` +
      `the customer saw ${FOLLOWED} ${seen} times`,
  );
}

main().catch((error) => {
  console.error(`delivery: ${error.message}`);
  process.exit(1);
});
