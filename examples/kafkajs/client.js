// The one place that knows where the broker is.
const { Kafka, logLevel } = require('kafkajs');

exports.topic = 'rider-updates';

exports.kafka = new Kafka({
  clientId: 'rider-app',
  brokers: [process.env.OTTLA_BOOTSTRAP ?? '127.0.0.1:9092'],
  logLevel: logLevel.ERROR,
});
