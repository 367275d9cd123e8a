// A member in a process of its own, to be killed: tells its parent what it owns and what it was given, and commits each message.
import { Member } from './member.mjs';
import { Watch } from './cluster.mjs';

const [topic, group] = process.argv.slice(2);
const watch = new Watch();
const member = new Member(watch, topic, group, { clientId: 'doomed' });
watch.until(() => member.owned?.length > 0 && (process.send({ owned: member.owned }), false), 'never', 120_000);
// A message is committed once it is on its way to the parent: what the kill took with it would count as read otherwise.
await member.start({ onMessage: (message) => new Promise((sent) => process.send({ message }, sent)) });
