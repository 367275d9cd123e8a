// The container of deploy/ stands in for the tutorial's: `serve` in its environment, and the example against the address it advertises.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { rideAlong } from './support/riders.mjs';

const ottla = process.env.OTTLA_BIN;
const skip = (!ottla || basename(dirname(ottla)) === 'reference') && 'OTTLA_BIN names no `ottla` to put into a container';

const deploy = (name) => readFile(new URL(`../../../deploy/${name}`, import.meta.url), 'utf8');

/** What the image and compose.yaml set, with another address to advertise. */
async function environment(address) {
  const image = [...(await deploy('Dockerfile')).matchAll(/^ENV (\w+)=(.*)$/gm)];
  const compose = [...(await deploy('compose.yaml')).matchAll(/^ +(KAFKA_\w+): "?(.*?)"?$/gm)];
  assert.ok(image.length > 0 && compose.length > 0);
  const variables = Object.fromEntries([...image, ...compose].map(([, name, value]) => [name, value]));
  assert.equal(variables.KAFKA_ADVERTISED_LISTENERS, 'PLAINTEXT://localhost:9092');
  return { ...variables, KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://${address}` };
}

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts the broker as the container does; null when somebody else took the port first. */
async function start(t, folder, address) {
  const child = spawn(ottla, ['serve', '--data-dir', folder], { env: await environment(address) });
  t.after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const broker = { child, said: '' };
  child.stderr.setEncoding('utf8').on('data', (chunk) => (broker.said += chunk));
  const ready = once(child.stdout.setEncoding('utf8'), 'data').then(([line]) => line);
  const closed = once(child, 'close').then(() => null);
  broker.ready = await Promise.race([ready, closed]);
  if (broker.ready) return broker;
  assert.match(broker.said, /is another broker running there/);
  return null;
}

test('the tutorial runs against serve in the environment of its containers', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ottla-container-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  let broker = null;
  let address;
  for (let attempt = 0; !broker && attempt < 5; attempt++) {
    address = `127.0.0.1:${await freePort()}`;
    broker = await start(t, folder, address);
  }
  assert.ok(broker, 'five ports were taken by others');
  assert.match(broker.ready, /^ready 0\.0\.0\.0:/);
  const remarks = broker.said.split('\n').filter((line) => line.startsWith('ottla: ')); // Beside them it logs, for example how many files it may open.
  assert.deepEqual(remarks, ['ottla: zookeeper.connect is not needed here and was ignored']);

  await rideAlong(t, address);

  broker.child.kill('SIGTERM');
  assert.deepEqual(await once(broker.child, 'exit'), [0, null]);
});
