// Orders: a queue shared by three processors, one of which is killed while it works; each order counts once nevertheless.
//
// `ottla demo orders` shows the same live. The trick, an offset that lives in the transaction of its results, is what `ottla sink`
// is built on.
const { fork } = require('node:child_process');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const initSqlJs = require('sql.js'); // SQLite without a compiler; it keeps its tables in memory.
const { kafka } = require('./client');

const ORDERS = 600;
const PARTITIONS = 6;

/** One member of the group OrderProcessors, in a process of its own; SIGTERM makes it leave. */
async function processor(run) {
  const timeouts = { sessionTimeout: 6000, heartbeatInterval: 500, maxWaitTimeInMs: 500 };
  const consumer = kafka.consumer({ groupId: `OrderProcessors-${run}`, ...timeouts });
  process.once('SIGTERM', () => consumer.disconnect().then(() => process.disconnect()));
  await consumer.connect();
  await consumer.subscribe({ topic: `OrderRequests-${run}`, fromBeginning: true });
  await consumer.run({
    eachBatch: async ({ batch }) => {
      await sleep(batch.messages.length * 5); // The work.
      const results = batch.messages.map(({ offset, value }) => ({ offset: Number(offset), order: JSON.parse(value) }));
      process.send({ partition: batch.partition, results });
      await once(process, 'message');
      // Now kafkajs commits an offset to Kafka, which only says where to read on: it may be behind the database's, never beyond.
    },
  });
}

/** One transaction: results and offset are both in the database, or neither. */
function write(database, { partition, results }) {
  database.run('BEGIN');
  for (const { offset, order } of results) {
    // An order that comes again, because its processor was killed, changes no row: the offset is beyond it already.
    database.run('UPDATE offsets SET next = ? WHERE partition = ? AND next <= ?', [offset + 1, partition, offset]);
    if (database.getRowsModified() === 1) database.run('INSERT INTO results VALUES (?, ?)', [order.number, order.amount]);
  }
  database.run('COMMIT');
}

/** Returns what all the orders come to that the broker has acknowledged. */
async function placeOrders(topic) {
  const producer = kafka.producer({ idempotent: true }); // Sent again after a lost answer, a message is in the topic once.
  await producer.connect();
  const orders = Array.from({ length: ORDERS }, (_, number) => ({ number, amount: 100 + (number % 50) }));
  const messages = orders.map((order) => ({ partition: order.number % PARTITIONS, value: JSON.stringify(order) }));
  await producer.send({ topic, messages });
  await producer.disconnect();
  return orders.reduce((sum, { amount }) => sum + amount, 0);
}

/** Keeps the database, which a server would be in earnest, and starts and kills processors. */
async function main() {
  const database = new (await initSqlJs()).Database();
  database.run('CREATE TABLE results (number, amount)');
  database.run('CREATE TABLE offsets (partition PRIMARY KEY, next)');
  for (let partition = 0; partition < PARTITIONS; partition++) database.run('INSERT INTO offsets VALUES (?, 0)', [partition]);

  const run = Date.now(); // A topic and a group of this run's own, so that the numbers at the end agree.
  const topic = `OrderRequests-${run}`;
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: PARTITIONS }] });
  while (!(await admin.listTopics()).includes(topic)); // Kafka answers a moment before it knows the topic itself.
  const ordered = await placeOrders(topic);

  const query = (sql) => database.exec(sql)[0].values[0];
  const count = () => query('SELECT count(*) FROM results')[0];
  const start = (name) => {
    const child = fork(__filename, [run]);
    child.on('message', (results) => {
      write(database, results);
      // The worst moment: the results are in the database, and Kafka has not heard of it.
      if (name === 'first' && count() >= ORDERS / 3) child.kill('SIGKILL');
      else child.send('written');
    });
    return child;
  };
  const first = start('first');
  while (count() < ORDERS / 10) await sleep(20);
  const others = [start('second'), start('third')];
  await once(first, 'exit');
  console.log('the first processor is killed; in six seconds the group gives its orders to the others');
  while (count() < ORDERS) await sleep(20);
  for (const child of others) child.kill('SIGTERM');
  await Promise.all(others.map((child) => once(child, 'exit')));
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  const [rows, orders, amount] = query('SELECT count(*), count(DISTINCT number), sum(amount) FROM results');
  console.log(`orders: ${ORDERS} sent for ${ordered}; ${rows} rows of ${orders} orders for ${amount}`);
}

const [run] = process.argv.slice(2);
(run ? processor(run) : main()).catch((error) => {
  console.error(`orders: ${error.message}`);
  process.exit(1);
});
