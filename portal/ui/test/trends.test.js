// The models behind the trends page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { included } from '../src/chart/limits.js';
import { extent, runs } from '../src/chart/runs.js';
import { building, buildingOf, find, first, keysOf, MOST } from '../src/model/lines.js';
import { marksOf, together } from '../src/model/marks.js';
import { align, createCourse, nearest, shifted, valueAt } from '../src/model/series.js';
import { filled, pan, resize, whole, zoom } from '../src/model/window.js';

const HOUR = 3_600_000;
const NOW = 100 * HOUR;

test('a window is zoomed at a time, which keeps its place, and never ends in the future', () => {
  const at = 40 * HOUR;
  const [from, to] = zoom([30 * HOUR, 70 * HOUR], at, 0.5, NOW);
  assert.deepEqual([from, to], [35 * HOUR, 55 * HOUR]);
  assert.deepEqual(zoom([90 * HOUR, NOW], 95 * HOUR, 2, NOW), [80 * HOUR, NOW]);
  const [a, b] = zoom([NOW - 3000, NOW], NOW, 0.001, NOW);
  assert.equal(b - a, 2000, 'not shorter than two seconds');
  assert.deepEqual(pan([10, 20], 5, NOW), [15, 25]);
  assert.deepEqual(pan([NOW - 20, NOW - 10], 500, NOW), [NOW - 10, NOW]);
});

test('one edge of a window is moved, and not past the other', () => {
  assert.deepEqual(resize([10 * HOUR, 20 * HOUR], 'from', 15 * HOUR, NOW), [15 * HOUR, 20 * HOUR]);
  assert.deepEqual(resize([10 * HOUR, 20 * HOUR], 'to', 9 * HOUR, NOW), [10 * HOUR, 10 * HOUR + 2000]);
  assert.deepEqual(resize([90 * HOUR, 95 * HOUR], 'to', 200 * HOUR, NOW), [90 * HOUR, NOW]);
});

test('the strip shows the chosen range, or as much around what lies before it', () => {
  assert.deepEqual(whole([95 * HOUR, 96 * HOUR], 24 * HOUR, NOW), [76 * HOUR, NOW]);
  assert.deepEqual(whole([40 * HOUR, 42 * HOUR], 24 * HOUR, NOW), [29 * HOUR, 53 * HOUR]);
  assert.deepEqual(whole([20 * HOUR, 80 * HOUR], 24 * HOUR, NOW), [0, NOW], 'wider than the window');
});

test('a range that shows no more than the one before is not filled', () => {
  assert.deepEqual(filled([1, 5, 60, 1440].map((m) => m * 60_000), NOW - 2 * HOUR, NOW), [true, true, true, true]);
  assert.deepEqual(filled([1, 5, 60, 1440].map((m) => m * 60_000), NOW - 180_000, NOW), [true, true, false, false]);
  assert.deepEqual(filled([1, 2], 0, NOW), [true, false], 'nothing is kept');
});

test('keys of lines survive an address, whatever a building is called', () => {
  for (const name of ['B栋', 'A, east', '50% hall', '%E0']) assert.equal(buildingOf(keysOf(`d1,${building(name)}`)[1]), name);
  assert.equal(buildingOf('d1'), '');
  assert.equal(buildingOf('building:%'), '%', 'a person wrote it');
  assert.deepEqual(keysOf('a,a,,b'), ['a', 'b']);
  assert.equal(keysOf([...'abcdefghijkl'].join()).length, MOST);
});

test('a text is a name, an id, a building, or a list of them', () => {
  const plant = { isDevice: (id) => /^d\d$/.test(id), byName: (n) => (n === 'Pump 3, hall' ? 'd3' : undefined), buildings: ['A栋', 'North wing'] };
  const keys = (text) => find(text, plant).keys;
  assert.deepEqual(keys(' d1 '), ['d1']);
  assert.deepEqual(keys('Pump 3, hall'), ['d3'], 'a name may have commas and spaces');
  assert.deepEqual(keys('North wing'), ['building:North wing']);
  assert.deepEqual(keys('building:A栋'), ['building:A栋']);
  assert.deepEqual(find('d1\td2\r\nd9x；A栋、d1', plant), { keys: ['d1', 'd2', 'building:A栋'], unknown: ['d9x'] });
});

const alarm = (id, at, more = {}) => ({ alert_id: id, device_id: id, severity: 'high', status: 'active', revision: 1, raised_at: at, timestamp: at, threshold: { parameter: 'co2' }, ...more });

test('who chose nothing sees buildings and the devices with the newest alarms', () => {
  const alarms = [alarm('d1', 5), alarm('d2', 9), alarm('d3', 7), alarm('d4', 8), alarm('gw', 10)];
  assert.deepEqual(first(['A', 'B'], alarms, (id) => id !== 'gw'), ['building:A', 'building:B', 'd2', 'd4', 'd3']);
  assert.equal(first([...'ABCDEFGHIJ'], [], () => true).length, MOST);
  assert.ok(first([...'ABCDEFGHIJ'], alarms, () => true).length <= MOST);
});

test('alarms are marked when they were raised and cleared, the most severe last', () => {
  const cleared = alarm('a', 10, { revision: 2, status: 'cleared', cleared_at: 20 });
  const all = together([alarm('a', 10), alarm('b', 15, { severity: 'critical' })], [cleared]);
  assert.deepEqual(all, [cleared, all[1]], 'the newest record counts');
  const marks = (from, to, sensor = 'co2') => marksOf(all, sensor, from, to).map((m) => [m.alarm.alert_id, m.time, m.over]);
  assert.deepEqual(marks(0, 100), [['a', 10, false], ['a', 20, true], ['b', 15, false]]);
  assert.deepEqual(marks(12, 100), [['a', 20, true], ['b', 15, false]]);
  assert.deepEqual(marks(0, 100, 'ph'), []);
  assert.equal(marksOf([alarm('o', 1, { threshold: undefined })], 'ph', 0, 9).length, 1, 'that a device was away concerns every sensor');
});

test('pieces of a line end at gaps, and other lines’ times are no gaps', () => {
  assert.deepEqual(runs([1, undefined, 2, null, undefined, 3, null]), [[0, 2], [5]]);
  assert.deepEqual(extent([[1, undefined, null, 9], [-4]], 0, 3), [-4, 9]);
  assert.deepEqual(extent([[null]], 0, 0), [null, null]);
});

test('a near limit is in view, a far one does not flatten the line', () => {
  assert.deepEqual(included([20, 30], [{ value: 35 }, { value: 300 }, { value: 15 }]), [15, 35]);
  assert.deepEqual(included([null, null], [{ value: 5 }]), [null, null]);
});

test('the value at a time is the nearest’s, or the last one’s before it', () => {
  assert.deepEqual([5, 14, 16, 99].map((at) => nearest([10, 20, 30], at)), [0, 0, 1, 2]);
  assert.equal(nearest([], 5), -1);
  assert.equal(valueAt([1, undefined, undefined], 2), 1);
  assert.equal(valueAt([1, null, undefined], 2), null, 'not across a gap');
});

test('another day is laid over this one', () => {
  assert.deepEqual(shifted({ time: [1, 2], values: [5, 6], single: 1 }, 10), { time: [11, 12], values: [5, 6], single: 11 });
});

test('what is expected comes along where the portal says it', async () => {
  globalThis.fetch = async (path) => ({ ok: true, path, json: async () => ({ step_ms: 10, begins: 1, time: [5, 15], values: { co2: { mean: [1, 2], min: [1, 2], max: [1, 2], expected: { low: [0, 1], high: [3, 4] } }, ph: { mean: [1, 2], min: [1, 2], max: [1, 2] } } }) });
  const course = createCourse('A栋', { building: true });
  await course.load(0, 20, []);
  const { expected } = align([course.columns('co2', 0, 20), course.columns('ph', 0, 20)]);
  assert.deepEqual(expected, [{ low: [0, 1], high: [3, 4] }, null]);
});
