import assert from 'node:assert/strict';
import test from 'node:test';
import { createChannel, SUBPROTOCOL } from '../src/core/channel.js';

/** rig is a channel over sockets that the test speaks for. */
function rig() {
  const sockets = [];
  const timers = [];
  const states = [];
  class FakeSocket {
    constructor(url, protocol) {
      Object.assign(this, { url, protocol, sent: [] });
      sockets.push(this);
    }

    send(text) {
      this.sent.push(JSON.parse(text));
    }

    close() {
      this.onclose({ code: 1006 });
    }
  }
  const channel = createChannel({ url: 'ws://x/ws', WebSocketClass: FakeSocket, timer: (f) => timers.push(f), onState: (s) => states.push(s) });
  const say = (m) => sockets.at(-1).onmessage({ data: typeof m === 'string' ? m : JSON.stringify(m) });
  channel.start();
  return { channel, sockets, timers, states, say, hello: (epoch = 'e1') => say({ type: 'hello', epoch, server_time: 1 }), end: () => sockets.at(-1).onclose({ code: 4000 }) };
}

const turn = () => new Promise((done) => setTimeout(done, 0));

test('topics are asked for after hello, once, and given back', async () => {
  const r = rig();
  const got = [];
  const end = r.channel.subscribe('fleet', (m) => got.push(m));
  await turn();
  assert.equal(r.sockets[0].protocol, SUBPROTOCOL);
  assert.deepEqual(r.sockets[0].sent, []);
  r.hello();
  assert.deepEqual(r.sockets[0].sent[0].topics, ['fleet']);
  r.say({ type: 'snapshot', topic: 'fleet', seq: 1, part: 1, parts: 2, data: 'a' });
  assert.equal(got.length, 0, 'half a snapshot is none');
  r.say({ type: 'snapshot', topic: 'fleet', seq: 1, part: 2, parts: 2, data: 'b' });
  r.say({ type: 'delta', topic: 'fleet', seq: 2, data: 'c' });
  r.say('{no json');
  assert.deepEqual(got.map((m) => [m.kind, m.data]), [['snapshot', ['a', 'b']], ['delta', 'c']]);
  end();
  await turn();
  assert.deepEqual(r.sockets[0].sent.at(-1), { type: 'unsubscribe', topics: ['fleet'], id: '2' });
  r.end();
});

test('a change of mind within one moment asks for nothing', async () => {
  const r = rig();
  r.hello();
  const a = r.channel.subscribe('device/1', () => {});
  r.channel.subscribe('device/2', () => {});
  a();
  await turn();
  const sent = r.sockets[0].sent;
  assert.deepEqual(sent.filter((m) => m.type === 'subscribe').flatMap((m) => m.topics), ['device/2']);
  r.end();
});

test('after a cut everything is asked for again, alarms from where they were', async () => {
  const r = rig();
  r.channel.subscribe('alerts', () => {});
  r.channel.subscribe('stats', () => {});
  r.hello('e1');
  r.say({ type: 'snapshot', topic: 'alerts', seq: 7, data: {} });
  const waiting = r.channel.request({ type: 'ping' });
  r.end();
  assert.equal((await waiting).code, 'disconnected', 'pending requests fail');
  r.timers.pop()();
  r.hello('e1');
  assert.deepEqual(r.sockets[1].sent[0], { type: 'subscribe', topics: ['alerts', 'stats'], resume: { epoch: 'e1', seq: { alerts: 7 } }, id: '3' });
  r.end();
  r.timers.pop()();
  r.hello('e2');
  assert.deepEqual(r.sockets[2].sent[0].resume, { epoch: 'e1', seq: {} }, 'a new portal cannot know our numbers');
  assert.deepEqual(r.states, ['connecting', 'open', 'waiting', 'connecting', 'open', 'waiting', 'connecting', 'open']);
  r.end();
});

test('an answer reaches the one who asked', async () => {
  const r = rig();
  r.hello();
  const answer = r.channel.request({ type: 'ping' });
  r.say({ type: 'pong', id: '1', server_time: 5 });
  assert.equal((await answer).server_time, 5);
  r.end();
});

test('a page that rests keeps the alarms alone, and gets the others back', async () => {
  const r = rig();
  r.channel.subscribe('alerts', () => {});
  r.channel.subscribe('fleet', () => {});
  r.hello();
  r.channel.rest(true);
  r.channel.subscribe('stats', () => {});
  await turn();
  assert.deepEqual(r.sockets[0].sent.slice(1).map((m) => [m.type, m.topics]), [['unsubscribe', ['fleet']]]);
  r.end();
  r.timers.pop()();
  r.hello();
  assert.deepEqual(r.sockets[1].sent[0].topics, ['alerts']);
  r.channel.rest(false);
  assert.deepEqual(r.sockets[1].sent[1].topics, ['fleet', 'stats']);
  r.end();
});

test('the channel says who is at the screen, again after a reconnect, and only when it is another', () => {
  const r = rig();
  r.channel.present('李工');
  assert.deepEqual(r.sockets[0].sent, []);
  r.hello();
  assert.deepEqual(r.sockets[0].sent, [{ type: 'present', name: '李工' }]);
  r.channel.present('李工');
  r.channel.present('王工');
  assert.deepEqual(r.sockets[0].sent.slice(1), [{ type: 'present', name: '王工' }]);
  r.end();
  r.channel.present('赵工');
  r.timers.at(-1)();
  r.hello();
  assert.deepEqual(r.sockets[1].sent, [{ type: 'present', name: '赵工' }]);
  r.end();
});

test('nobody is announced at a screen without a name', () => {
  const r = rig();
  r.channel.present('');
  r.hello();
  assert.deepEqual(r.sockets[0].sent, []);
  r.end();
});
