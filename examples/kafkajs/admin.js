// Creates the topic `rider-updates` with two partitions: 0 for the north, 1 for the south.
const { kafka, topic } = require('./client');

async function main() {
  const admin = kafka.admin();
  await admin.connect();
  if ((await admin.listTopics()).includes(topic)) {
    console.log(`topic ${topic} is there already`);
  } else {
    // Whoever uses the topic waits for its leaders; kafkajs, asked to wait here, gives up on a busy cluster.
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: 2 }] });
    console.log(`created topic ${topic} with 2 partitions`);
  }
  await admin.disconnect();
}

main().catch((error) => {
  console.error(`admin: ${error.message}`);
  process.exit(1);
});
