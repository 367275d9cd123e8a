// A consumer that dies without a word: its partitions pass to the others after its session timeout, and no message is lost.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createTopic, unique, Watch, withProducer } from './support/cluster.mjs';
import { Member, SESSION_MS, untilShares } from './support/member.mjs';

test('the partitions of a killed consumer are taken over after its session timeout, with no message lost', async (t) => {
  const watch = new Watch();
  const [topic, group] = [await createTopic(4), unique('takeover')];
  const survivor = await new Member(watch, topic, group).start();
  t.after(() => survivor.stop());
  await untilShares(watch, [survivor], [4]);

  const doomed = { owned: null, messages: [] };
  const child = fork(fileURLToPath(new URL('./support/doomed.mjs', import.meta.url)), [topic, group]);
  t.after(() => child.kill('SIGKILL'));
  child.on('message', ({ owned, message }) => {
    if (owned) doomed.owned = owned;
    if (message) doomed.messages.push(message);
    watch.changed();
  });
  await untilShares(watch, [survivor, doomed], [2, 2]);

  const sent = Array.from({ length: 400 }, (_, i) => `${i}`);
  await withProducer({}, async (producer) => {
    const messages = sent.map((value, i) => ({ partition: i % 4, value }));
    await producer.send({ topic, messages: messages.slice(0, 200) });
    await watch.until(() => doomed.messages.length > 0, 'the doomed member has read something');
    const died = Date.now();
    child.kill('SIGKILL');
    await producer.send({ topic, messages: messages.slice(200) });
    await untilShares(watch, [survivor], [4], SESSION_MS + 15_000);
    const elapsed = Date.now() - died;
    assert.ok(elapsed >= SESSION_MS - 2_000, `taken over after ${elapsed} ms, before the session of ${SESSION_MS} ms could end`);
  });

  const read = () => new Set([...survivor.messages, ...doomed.messages].map((message) => message.value));
  await watch.until(() => read().size === sent.length, () => `${sent.length} messages, ${read().size} were read`);
  const later = new Set(survivor.messages.map((message) => message.value));
  assert.ok(sent.slice(200).every((value) => later.has(value)), 'what was sent after the kill reached the survivor');
});
