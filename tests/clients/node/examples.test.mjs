// The programs in examples/kafkajs do what their README says.
import { test } from 'node:test';
import { bootstrap } from './support/cluster.mjs';
import { rideAlong } from './support/riders.mjs';

test('the kafkajs example: admin, producer and consumers', (t) => rideAlong(t, bootstrap));
