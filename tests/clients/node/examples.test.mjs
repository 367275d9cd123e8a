// The programs in examples/kafkajs do what their README says.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bootstrap, Watch } from './support/cluster.mjs';
import { rideAlong, start } from './support/riders.mjs';

test('the kafkajs example: admin, producer and consumers', (t) => rideAlong(t, bootstrap));

// What was sent, what each group read and what its tables hold are counted apart by the programs, and have to agree.
const SUMMARIES = {
  rides: 'rides: 1500 sent; rows: fare 1500, analytics 1500, customer 1500',
  delivery: 'delivery: 1200 locations sent, 1200 rows; 30 hotel updates sent, 30 rows; the customer saw partner-42 3 times',
  chat: 'chat: 200 sent; 160000 handed to 800 users; rows: storage 200, notifications 200',
  orders: 'orders: 600 sent for 74700; 600 rows of 600 orders for 74700',
  analytics: 'analytics: 3000 sent; Storage has 3000 rows, Analytics counted 3000',
};

describe('the scenarios in kafkajs', { concurrency: true }, () => {
  for (const [scenario, summary] of Object.entries(SUMMARIES)) {
    test(`${scenario}: what was sent is in every table once`, { timeout: 60_000 }, async (t) => {
      const program = start(t, new Watch(), bootstrap, `${scenario}.js`);
      assert.equal(await program.exit, 0, program.text);
      assert.ok(program.lines().includes(summary), program.text);
    });
  }
});
