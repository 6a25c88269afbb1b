import assert from 'node:assert/strict';
import test from 'node:test';
import { all, ApiError, get } from '../src/core/api.js';
import { translator } from '../src/core/i18n.js';
import { createScheduler, INTERVAL } from '../src/core/scheduler.js';
import { connect, pause } from '../src/core/socket.js';
import { describe } from '../src/components/alarms/alarms.js';
import { problems } from '../src/components/banner/banner.js';

const t = translator('en');

function scheduler() {
  const s = { now: 0, hidden: false, frames: [] };
  s.it = createScheduler({ raf: (f) => s.frames.push(f), hidden: () => s.hidden, now: () => s.now });
  s.run = () => {
    const frames = s.frames;
    s.frames = [];
    frames.forEach((f) => f());
  };
  return s;
}

test('parts are drawn together and not more often than they must', () => {
  const s = scheduler();
  let a = 0;
  let b = 0;
  const dirtyA = s.it.add(() => a++);
  s.it.add(() => b++);
  assert.equal(s.frames.length, 1);
  s.run();
  assert.deepEqual([a, b], [1, 1]);
  dirtyA();
  dirtyA();
  s.now += INTERVAL / 2;
  s.run();
  assert.equal(a, 1, 'too soon');
  s.now += INTERVAL;
  s.run();
  assert.equal(a, 2);
  assert.equal(b, 1, 'not dirty');
  dirtyA(true);
  s.run();
  assert.equal(a, 3, 'a person is not kept waiting');
  assert.equal(s.frames.length, 0, 'nothing runs when nothing is to be drawn');
});

test('nothing is drawn while hidden, everything afterwards', () => {
  const s = scheduler();
  let n = 0;
  const dirty = s.it.add(() => n++);
  s.run();
  s.hidden = true;
  dirty(true);
  s.run();
  assert.equal(n, 1);
  s.hidden = false;
  s.it.all();
  s.run();
  assert.equal(n, 2);
});

test('pauses grow, are spread, and end', () => {
  assert.equal(pause(0, () => 0), 250);
  assert.equal(pause(0, () => 1), 500);
  assert.equal(pause(3, () => 1), 4000);
  assert.equal(pause(50, () => 1), 15_000);
});

test('the socket comes back, except soon when it was refused', () => {
  const made = [];
  const states = [];
  const timers = [];
  class Fake {
    constructor(url) {
      this.url = url;
      made.push(this);
    }
    close() {}
  }
  const got = [];
  const it = connect({
    url: 'ws://x/ws', onOpen: () => got.push('open'), onMessage: (m) => got.push(m.type), onState: (...a) => states.push(a.join(' ').trim()),
    WebSocketClass: Fake, timer: (f, ms) => timers.push([f, ms]),
  });
  made[0].onopen();
  made[0].onmessage({ data: '{"type":"alert"}' });
  made[0].onmessage({ data: 'not json' });
  made[0].onclose({ code: 1006 });
  timers[0][0]();
  made[1].onclose({ code: 4504 });
  assert.deepEqual(got, ['open', 'alert']);
  assert.deepEqual(states, ['connecting', 'open', 'waiting 1006', 'connecting', 'refused 4504']);
  assert.ok(timers[0][1] <= 500);
  assert.ok(timers[1][1] >= 7_500);
  made[0].onclose({ code: 1000 });
  assert.equal(timers.length, 2, 'an old socket does not matter any more');
  it.close();
  timers[1][0]();
  assert.equal(made.length, 2);
});

test('the API is read page by page, and errors have a name', async () => {
  const asked = [];
  const pages = [{ total: 1500, count: 1000, items: Array(1000).fill(1) }, { total: 1500, count: 500, items: Array(500).fill(2) }];
  const fetcher = async (path) => {
    asked.push(path);
    return { ok: true, json: async () => pages[asked.length - 1] };
  };
  let n = 0;
  assert.equal(await all('/api/v1/devices?presence=offline', () => n++, { fetcher }), 1500);
  assert.equal(n, 1500);
  assert.deepEqual(asked, ['/api/v1/devices?presence=offline&limit=1000&offset=0', '/api/v1/devices?presence=offline&limit=1000&offset=1000']);
  const failing = (body) => async () => ({ ok: false, status: 400, json: async () => body });
  await assert.rejects(get('/x', { fetcher: failing({ error: { code: 'bad_parameter' } }) }), (e) => e instanceof ApiError && e.code === 'bad_parameter' && e.status === 400);
  await assert.rejects(get('/x', { fetcher: failing(null) }), { code: 'http 400' });
});

test('an alarm says what it is about', () => {
  const a = { status: 'active', current_value: 92.44, peak_value: 95, threshold: { parameter: 'temperature', operator: '>', value: 80 } };
  assert.equal(describe(a, t).replaceAll('\u2009', ' '), 'temperature 92.4 °C > 80.0 °C');
  assert.equal(describe({ ...a, status: 'cleared' }, t).replaceAll('\u2009', ' '), 'temperature 95.0 °C > 80.0 °C');
  assert.equal(describe({ message: 'something else' }, t), 'something else');
  assert.equal(describe({ alert_type: 'door_open' }, t), 'door_open');
});

test('the banner tells what is wrong with us and nothing else', () => {
  const state = (change) => ({ state: { socket: 'open', socketSince: 0, stats: { sources: { hub: true, kafka: true } }, statsAt: 10_000, gateways: [], ...change } });
  const keys = (change, now = 10_000) => problems(state(change), now, t).map(([key]) => key);
  assert.deepEqual(keys({}), []);
  assert.deepEqual(keys({ stats: null }), []);
  assert.deepEqual(keys({ socket: 'waiting', socketSince: 9_000 }), [], 'a blink is not worth a banner');
  assert.deepEqual(keys({ socket: 'waiting', socketSince: 5_000 }), ['banner.socket']);
  assert.deepEqual(keys({ socket: 'refused' }), ['banner.refused']);
  assert.deepEqual(keys({}, 30_000), ['banner.api']);
  assert.deepEqual(keys({ stats: { sources: { hub: false, kafka: false } } }), ['banner.hub', 'banner.kafka']);
  assert.deepEqual(keys({ gateways: [{ gateway: 'g', building: 'A栋', silent: true, age_ms: 9000, at: 10_000 }, { silent: false }] }), ['banner.gateway']);
});
