// The programs in examples/kafkajs, run as a user runs them, with lines typed into the producer.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually, unique, Watch, withAdmin } from './cluster.mjs';

const folder = fileURLToPath(new URL('../../../../examples/kafkajs', import.meta.url));

/** Starts one program; `lines` grows with what it prints. */
export function start(t, watch, address, script, ...args) {
  // kafkajs waits for times in the past, of which newer versions of Node complain.
  const env = { ...process.env, OTTLA_BOOTSTRAP: address };
  const child = spawn(process.execPath, ['--disable-warning=TimeoutNegativeWarning', script, ...args], { cwd: folder, env });
  const program = { child, text: '', lines: () => program.text.split('\n').filter(Boolean) };
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    program.text += chunk;
    watch.changed();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk) => (program.text += chunk));
  // Not `exit`: what it printed last may not have been read then.
  program.exit = once(child, 'close').then(([code]) => code);
  t.after(() => child.kill('SIGKILL'));
  return program;
}

/** Goes through the whole example against the broker at `address`. */
export async function rideAlong(t, address) {
  const watch = new Watch();
  const there = () => withAdmin(async (admin) => (await admin.listTopics()).includes('rider-updates'), address);
  if (await there()) await withAdmin((admin) => admin.deleteTopics({ topics: ['rider-updates'] }), address);
  await eventually(async () => !(await there()), 'an earlier run left nothing behind');
  for (const expected of [/^created topic rider-updates with 2 partitions$/, /^topic rider-updates is there already$/]) {
    const admin = start(t, watch, address, 'admin.js');
    assert.equal(await admin.exit, 0, admin.text);
    assert.match(admin.text.trim(), expected);
    await eventually(there, 'the topic is known to the broker');
  }

  const [shared, other] = [unique('user'), unique('user')];
  const consumers = [start(t, watch, address, 'consumer.js', shared), start(t, watch, address, 'consumer.js', shared), start(t, watch, address, 'consumer.js', other)];
  const producer = start(t, watch, address, 'producer.js');
  producer.child.stdin.end('tony south\nann north\nnonsense\n\ntony north\n');
  assert.equal(await producer.exit, 0, producer.text);
  assert.match(producer.text, /^> /);
  assert.match(producer.text, /a name and a location, please/);

  const expected = (group) => [
    `${group}: [rider-updates]: PART:0: {"riderName":"ann","location":"north"}`,
    `${group}: [rider-updates]: PART:0: {"riderName":"tony","location":"north"}`,
    `${group}: [rider-updates]: PART:1: {"riderName":"tony","location":"south"}`,
  ];
  // kafkajs logs to the same place, and a message may be printed by two members when the group rebalances in between.
  const printed = (programs, group) => [...new Set(programs.flatMap((program) => program.lines()))].filter((line) => line.startsWith(group));
  const complete = (programs, group) => JSON.stringify(printed(programs, group).sort()) === JSON.stringify(expected(group));
  await watch.until(
    () => complete(consumers.slice(0, 2), shared) && complete(consumers.slice(2), other),
    () => JSON.stringify(consumers.map((consumer) => consumer.lines()), null, 1),
  );
  for (const consumer of consumers) consumer.child.kill('SIGTERM');
  assert.deepEqual(await Promise.all(consumers.map((consumer) => consumer.exit)), [0, 0, 0]);
}
