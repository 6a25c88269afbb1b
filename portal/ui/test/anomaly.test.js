// What was usual for a device, and the figures of an anomaly.
import assert from 'node:assert/strict';
import test from 'node:test';
import { around, bandAt, earlier, HELD, kindKey, partsOf, stayed } from '../src/model/anomaly.js';

const HOUR = 3_600_000;

test('a time takes the usual range before it, and none across a gap', () => {
  const s = { time: [1000, 2000, 3000, 20_000, 21_000], low: [1, 2, 3, 4, 5], high: [5, 6, 7, 8, 9] };
  const at = [500, 1000, 1999, 2500, 3000, 7000, 20_500];
  assert.deepEqual(bandAt(s, at), { low: [1, 1, 1, 2, 3, null, 4], high: [5, 5, 5, 6, 7, null, 8] });
  assert.deepEqual(bandAt({ time: [], low: [], high: [] }, [1]), { low: [null], high: [null] });
});

test('where readings were rarer, the usual range has no holes between them', () => {
  const rare = Array.from({ length: 10 }, (_, i) => 60_000 * i);
  const time = [...rare, ...Array.from({ length: 50 }, (_, i) => 541_000 + 1000 * i)];
  const { low } = bandAt({ time, low: time.map(() => 1), high: time.map(() => 2) }, rare.slice(0, -1).flatMap((t) => [t, t + 30_000, t + 59_999]));
  assert.deepEqual(new Set(low), new Set([1]));
});

test('the newest usual range holds for some minutes of later readings', () => {
  const s = { time: [1000, 2000], low: [1, 2], high: [5, 6] };
  assert.deepEqual(bandAt(s, [5000, 2000 + HELD, 2001 + HELD]).low, [2, 2, null]);
});

test('an alarm is explained by the time around it, up to now', () => {
  const a = { raised_at: 10 * HOUR, anomaly: { since: 9.5 * HOUR } };
  assert.deepEqual(around(a, 11 * HOUR), [8.5 * HOUR, 11 * HOUR]);
  assert.deepEqual(around({ ...a, cleared_at: 10.2 * HOUR }, 20 * HOUR), [8.5 * HOUR, 10.7 * HOUR]);
  assert.deepEqual(around({ raised_at: 10 * HOUR }, 100 * HOUR), [9 * HOUR, 34.5 * HOUR]);
});

test('comparable hours are those of the days before', () => {
  assert.deepEqual(earlier(100 * HOUR, 2), [[75.5 * HOUR, 76.5 * HOUR], [51.5 * HOUR, 52.5 * HOUR]]);
});

test('a kind says which neighbours', () => {
  assert.equal(kindKey({ kind: 'peers', group: 'model' }), 'anomaly.kind.peers.model');
  assert.equal(kindKey({ kind: 'peers', group: 'room' }), 'anomaly.kind.peers');
  assert.equal(kindKey({ kind: 'peers' }), 'anomaly.kind.peers');
  assert.equal(kindKey({ kind: 'drift' }), 'anomaly.kind.drift');
});

test('a spike that stayed is what it became', () => {
  const periods = [{ kind: 'drift', since: 0, until: 5000 }, { kind: 'level', since: 61_000, until: 0 }];
  assert.equal(stayed({ kind: 'spike', since: 60_000 }, periods), 'level');
  assert.equal(stayed({ kind: 'spike', since: 60_000 }, [{ kind: 'spike', since: 60_000, until: 0 }]), '');
  assert.equal(stayed({ kind: 'peers', since: 60_000 }, periods), '', 'a replay knows no neighbours');
  assert.equal(stayed({ kind: 'spike', since: 600_000 }, []), '');
});

test('an anomaly has the figures of its kind alone', () => {
  const keys = (a) => partsOf(a).map(([key]) => key);
  assert.deepEqual(keys({ kind: 'spike', value: 0, expected: 20, low: 18, high: 22, sigma: 4 }), ['value', 'expected', 'band', 'sigma']);
  assert.deepEqual(keys({ kind: 'dropout', value: 0, expected: 0, low: 0, high: 0, missing: 0.3 }), ['missing']);
  assert.deepEqual(keys({ kind: 'noise', value: 1, expected: 1, low: 1, high: 1, ratio: 6, sensors: 2 }), ['value', 'expected', 'ratio', 'sensors']);
});
