import assert from 'node:assert/strict';
import test from 'node:test';
import { createScheduler } from '../src/core/scheduler.js';
import { createScreen } from '../src/core/screen.js';
import { bytesOf, escaped, extend, shade, SHADES, topOf, worstOf } from '../src/model/pipeline.js';

const strip = (lag, number = 0) => ({ kind: 'partition', number, rate: 1, lag: lag.at(-1), course: { rate: lag.map(() => 1), lag } });

test('shades grow with the backlog, and what is unknown has none', () => {
  assert.equal(shade(null, 1000), null);
  assert.equal(shade(0, 1000), 0);
  const all = [1, 5, 30, 200, 1000, 1e6].map((n) => shade(n, 1000));
  assert.deepEqual(all, [...all].sort((a, b) => a - b));
  assert.equal(all[0], 1);
  assert.equal(all.at(-1), SHADES);
  assert.equal(topOf([strip([3, null])], 'partition'), 1000, 'a small lag is no dark strip');
  assert.equal(topOf([strip([3, 70_000])], 'partition'), 70_000);
  assert.deepEqual(worstOf(strip([null, 3, 9, 9, 1])), { lag: 9, step: 2 });
  assert.equal(worstOf(strip([null])), null);
});

test('strips go on like stages, also those that are new', () => {
  const stage = (n) => ({ stage: 'core', course: { rate: Array(n).fill(1), ms: Array(n).fill(1), lag: Array(n).fill(null) } });
  const before = { from: 0, step_ms: 10, stages: [stage(4)], strips: [strip([1, 2, 3, 4])] };
  const next = extend(before, { from: 30, step_ms: 10, stages: [stage(2)], strips: [strip([5, 6]), strip([7, 8], 1)] });
  assert.deepEqual(next.strips.map((s) => s.course.lag), [[2, 3, 5, 6], [null, null, 7, 8]]);
  assert.equal(next.from, 10);
});

test('bytes are shown as text, and what is no visible character by its value', () => {
  const show = (...bytes) => escaped(Uint8Array.from(bytes));
  const utf8 = (s) => escaped(new TextEncoder().encode(s));
  assert.equal(utf8('{"温度":1}\n€😀'), '{"温度":1}\n€😀');
  assert.equal(utf8('a\u202eb\u0000\u001b[31m'), 'a\\xe2\\x80\\xaeb\\x00\\x1b[31m');
  assert.equal(show(0xff, 0x41, 0xc3), '\\xffA\\xc3', 'not UTF-8, and cut off');
  assert.equal(show(0xed, 0xa0, 0x80), '\\xed\\xa0\\x80', 'half a surrogate');
  assert.equal(show(), '');
  assert.deepEqual([...bytesOf('/0E=')], [0xff, 0x41]);
});

/** bench is a screen on a clock of its own, whose portal is ahead and answers after a while. */
function bench({ ahead = 5000, way = () => 10 } = {}) {
  const b = { now: 1_000_000, sent: [], hidden: false };
  b.screen = createScreen({
    hidden: () => b.hidden,
    now: () => b.now,
    timer: (f) => (b.report = f),
    async request(m) {
      b.sent.push(m);
      const there = way(b.sent.length);
      b.now += there;
      const answer = { type: 'pong', server_time: Math.floor(b.now + ahead) };
      b.now += there;
      return answer;
    },
  });
  return b;
}

test('a frame takes from the portal’s time to its painting, by the portal’s clock', async () => {
  const b = bench({ way: (n) => [10, 300, 2][n - 1] ?? 400 });
  await Promise.resolve();
  for (let i = 0; i < 3; i++) await b.report();
  const f = b.screen.figures();
  assert.ok(Math.abs(f.offset - 5000) <= 1, `the ping with the shortest way counts: ${f.offset}`);
  assert.equal(f.within, 2.5);
  assert.equal(f.paint, null);
  b.screen.heard();
  b.screen.frame(b.now + 5000); // the portal's time of now
  b.screen.frame(b.now + 5000); // too soon after the other
  b.now += 80;
  b.screen.painted();
  assert.equal(b.screen.figures().paint.n, 1);
  assert.ok(Math.abs(b.screen.figures().paint.p50 - 80) < 1);
  await b.report();
  assert.equal(b.sent.at(-1).screen.frames, 1);
  assert.ok(Math.abs(b.sent.at(-1).screen.paint_ms[0] - 80) < 1);
  await b.report();
  assert.deepEqual(b.sent.at(-1), { type: 'ping' }, 'nothing is said twice');
  b.hidden = true;
  b.now += 1000;
  b.screen.frame(b.now + 5000);
  b.screen.painted();
  assert.equal(b.screen.figures().paint.n, 1, 'a hidden page paints nothing');
  b.now += 61_000;
  assert.equal(b.screen.figures().paint, null, 'a minute later');
});

test('what is drawn is said to be painted after the frame', async () => {
  const calls = [];
  let frame = null;
  const s = createScheduler({ raf: (f) => (frame = f), hidden: () => false, now: () => 1000, painted: () => calls.push('painted') });
  s.add(() => calls.push('drawn'));
  frame();
  assert.deepEqual(calls, ['drawn']);
  await new Promise((done) => setTimeout(done));
  assert.deepEqual(calls, ['drawn', 'painted']);
});
