// Prints every update that reaches this member of the group named on the command line; ends with Ctrl-C.
const { kafka, topic } = require('./client');

async function main() {
  const group = process.argv[2];
  if (!group) {
    console.error('usage: node consumer.js GROUP');
    process.exit(2);
  }
  const consumer = kafka.consumer({ groupId: group });
  // Leaving by name hands the partitions to the other members at once; a killed member keeps them until its session ends.
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => consumer.disconnect().then(() => process.exit(0)));
  }

  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ topic, partition, message }) => {
      console.log(`${group}: [${topic}]: PART:${partition}: ${message.value}`);
    },
  });
}

main().catch((error) => {
  console.error(`consumer: ${error.message}`);
  process.exit(1);
});
