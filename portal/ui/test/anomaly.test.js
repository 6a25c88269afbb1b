// What was usual for a device, and the figures of an anomaly.
import assert from 'node:assert/strict';
import test from 'node:test';
import { around, bandAt, earlier, kindKey, partsOf } from '../src/model/anomaly.js';

const HOUR = 3_600_000;

test('a time takes the usual range before it, and none across a gap', () => {
  const s = { time: [1000, 2000, 3000, 20_000], low: [1, 2, null, 4], high: [5, 6, null, 8] };
  assert.deepEqual(bandAt(s, [500, 1000, 1999, 2500, 3000, 7000, 20_500]), { low: [1, 1, 1, 2, null, null, 4], high: [5, 5, 5, 6, null, null, 8] });
  assert.deepEqual(bandAt({ time: [], low: [], high: [] }, [1]), { low: [null], high: [null] });
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

test('an anomaly has the figures of its kind alone', () => {
  const keys = (a) => partsOf(a).map(([key]) => key);
  assert.deepEqual(keys({ kind: 'spike', value: 0, expected: 20, low: 18, high: 22, sigma: 4 }), ['value', 'expected', 'band', 'sigma']);
  assert.deepEqual(keys({ kind: 'dropout', value: 0, expected: 0, low: 0, high: 0, missing: 0.3 }), ['missing']);
  assert.deepEqual(keys({ kind: 'noise', value: 1, expected: 1, low: 1, high: 1, ratio: 6, sensors: 2 }), ['value', 'expected', 'ratio', 'sensors']);
});
