import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beside, change, earlier, span, windowAt } from '../src/model/report.js';

const at = (...x) => new Date(2026, ...x).getTime();
const hours = ({ from, to }) => [new Date(from).getHours(), new Date(to).getHours(), (to - from) / 3_600_000];

test('a moment is in a shift, also around midnight', () => {
  assert.deepEqual(hours(windowAt('shift', at(5, 3, 8, 0))), [8, 16, 8]);
  assert.deepEqual(hours(windowAt('shift', at(5, 3, 7, 59))), [0, 8, 8]);
  const night = windowAt('shift', at(5, 3, 2), ['06:00', '14:00', '22:00']);
  assert.deepEqual(night, { from: at(5, 2, 22), to: at(5, 3, 6) });
  assert.deepEqual(windowAt('shift', at(5, 3, 5), ['06:30']), { from: at(5, 2, 6, 30), to: at(5, 3, 6, 30) });
});

test('days begin at midnight and weeks on Monday', () => {
  assert.deepEqual(windowAt('day', at(5, 3, 23, 59)), { from: at(5, 3), to: at(5, 4) });
  for (const day of [1, 7]) assert.deepEqual(windowAt('week', at(5, day, 12)), { from: at(5, 1), to: at(5, 8) });
});

test('windows follow each other without a gap', () => {
  for (const kind of ['shift', 'day', 'week', 'range']) {
    const w = kind === 'range' ? { from: at(5, 3, 1), to: at(5, 3, 4) } : windowAt(kind, at(5, 3, 9));
    assert.equal(beside(kind, w, 1).from, w.to);
    assert.equal(beside(kind, w, -1).to, w.from);
    assert.deepEqual(beside(kind, beside(kind, w, 1), -1), w);
  }
});

test('a running shift is compared with as much of the one before', () => {
  const w = windowAt('shift', at(5, 3, 9));
  assert.deepEqual(earlier('shift', w, at(5, 3, 9)), { from: at(5, 3, 0), to: at(5, 3, 1) });
  assert.deepEqual(earlier('shift', w, w.to), { from: at(5, 3, 0), to: at(5, 3, 8) });
});

test('what is unknown is not compared', () => {
  assert.deepEqual([change(2, 1), change(1, 2), change(1, 1), change(null, 1), change(1, undefined)], ['▲', '▼', '=', '', '']);
});

test('a time is told in one unit', () => {
  assert.deepEqual([0, 99_000, 100_000, 5_400_000, 6_000_000, 259_200_000].map(span), [
    { unit: 's', n: 0 }, { unit: 's', n: 99 }, { unit: 'min', n: 2 }, { unit: 'min', n: 90 }, { unit: 'h', n: 1.7 }, { unit: 'd', n: 3 },
  ]);
  assert.equal(span(NaN), null);
});
