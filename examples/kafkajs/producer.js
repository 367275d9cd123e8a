// Sends a rider's location for every line `NAME LOCATION`, for example `tony south`; ends with the input (Ctrl-D).
const readline = require('node:readline');
const { Partitioners } = require('kafkajs');
const { kafka, topic } = require('./client');

async function main() {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();

  const prompt = () => process.stdout.write('> ');
  prompt();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [riderName, location] = line.trim().split(/\s+/);
    if (riderName && location) {
      await producer.send({
        topic,
        messages: [
          {
            partition: location.toLowerCase() === 'north' ? 0 : 1,
            key: riderName,
            value: JSON.stringify({ riderName, location }),
          },
        ],
      });
    } else if (riderName) {
      console.log('a name and a location, please: tony south');
    }
    prompt();
  }
  await producer.disconnect();
}

main().catch((error) => {
  console.error(`producer: ${error.message}`);
  process.exit(1);
});
