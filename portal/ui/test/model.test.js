import assert from 'node:assert/strict';
import test from 'node:test';
import { format, parse } from '../src/core/router.js';
import { csv } from '../src/core/save.js';
import { createAlarms, fold, newer, sortAlarms } from '../src/model/alarms.js';
import { createFleet, filterFleet } from '../src/model/fleet.js';
import { createPlant, STALE } from '../src/model/plant.js';
import { align } from '../src/model/series.js';
import { at, group, place, SMALLEST, spot } from '../src/parts/layout.js';
import { windowOf } from '../src/parts/rows.js';

const row = (index, id, more = {}) => {
  const d = { building: 'A栋', floor: 1, room: '101', model: 'M', gateway: 'gw-a', state: 1, priority: 0, alarms: 0, ...more };
  return [index, id, d.building, d.floor, d.room, d.model, d.gateway, d.state, d.priority, d.alarms];
};

test('an address says everything and comes back the same', () => {
  const route = { page: 'trends', subject: '', params: { devices: 'a,b', range: '5m' } };
  assert.deepEqual(parse(format(route)), route);
  assert.deepEqual(parse(format({ page: 'device', subject: 'd/1 栋', params: {} })), { page: 'device', subject: 'd/1 栋', params: {} });
  assert.equal(parse('').page, 'overview');
  assert.equal(parse('#/x/%E0%A4%A').subject, '%E0%A4%A', 'a broken escape is left as it is');
});

test('the fleet is built of a snapshot in parts and follows deltas', () => {
  const fleet = createFleet();
  fleet.apply({ kind: 'snapshot', data: [{ devices: [row(0, 'd10'), row(1, 'd9', { building: 'B栋' })] }, { devices: [row(5, 'd1')] }] });
  assert.deepEqual(fleet.sorted().map((d) => d.id), ['d1', 'd9', 'd10']);
  const before = fleet.placed();
  fleet.apply({ kind: 'delta', data: { states: [[5, 1, 2, 3], [99, 1, 1, 1]] } });
  assert.equal(fleet.placed(), before, 'a state does not move anything');
  assert.deepEqual(fleet.counts(), { total: 3, online: 3, offline: 0, stale: 0, unknown: 0, fault: 1 });
  fleet.apply({ kind: 'delta', data: { devices: [row(2, 'new', { state: 2 })] } });
  assert.notEqual(fleet.placed(), before);
  assert.equal(fleet.counts().offline, 1);
  assert.equal(fleet.counts('B栋').total, 1);
  assert.deepEqual(fleet.byBuilding().get('B栋'), fleet.counts('B栋'));
  assert.deepEqual([...fleet.byBuilding().keys()].sort(), fleet.distinct('building').sort());
  fleet.apply({ kind: 'delta', data: { states: [[2, 4, 0, 0]] } });
  assert.equal(fleet.byID.has('new'), false, 'a forgotten device is gone');
  assert.equal(fleet.size(), 3);
  fleet.apply({ kind: 'snapshot', data: [{ devices: [row(0, 'd10')] }] });
  assert.equal(fleet.size(), 1);
  assert.equal(fleet.byID.has('d9'), false);
});

test('filters of the fleet', () => {
  const fleet = createFleet();
  fleet.apply({ kind: 'snapshot', data: [{ devices: [row(0, 'a1'), row(1, 'a2', { state: 2, floor: 2 }), row(2, 'b1', { priority: 1, building: 'B栋', room: '777' })] }] });
  const ids = (f) => filterFleet(fleet.sorted(), f).map((d) => d.id);
  assert.deepEqual(ids({}), ['a1', 'a2', 'b1']);
  assert.deepEqual(ids({ q: 'A' }), ['a1', 'a2']);
  assert.deepEqual(ids({ q: '777' }), ['b1']);
  assert.deepEqual(ids({ state: 'offline' }), ['a2']);
  assert.deepEqual(ids({ state: 'fault' }), ['b1']);
  assert.deepEqual(ids({ floor: '2', building: 'A栋' }), ['a2']);
});

const alarm = (id, more = {}) => ({ alert_id: id, device_id: 'd', severity: 'high', status: 'active', state: 'unacknowledged', revision: 1, raised_at: 1000, timestamp: 1000, location: { building: 'A栋' }, ...more });

test('the highest revision of an alarm counts, in whatever order they come', () => {
  const alarms = createAlarms();
  assert.equal(alarms.apply({ kind: 'delta', data: { alert: alarm('1', { event: 'raised' }) } })?.alert_id, '1');
  alarms.apply({ kind: 'delta', data: { alert: alarm('1', { revision: 3, state: 'normal', status: 'cleared' }) } });
  alarms.apply({ kind: 'delta', data: { alert: alarm('1', { revision: 2, state: 'acknowledged' }) } });
  assert.equal(alarms.all.get('1').revision, 3);
  assert.equal(newer({ status: 'active', timestamp: 5 }, { status: 'cleared', timestamp: 4 }), true, 'records from before there were revisions');
  alarms.apply({ kind: 'delta', data: { alert: alarm('2') } });
  alarms.apply({ kind: 'snapshot', data: [{ alerts: [alarm('3')] }] });
  assert.deepEqual([...alarms.all.keys()].sort(), ['1', '3'], 'alarms missing from the snapshot are closed');
});

test('what needs attention: not seen first, then the worst, then the newest', () => {
  const list = [alarm('old'), alarm('new', { raised_at: 2000 }), alarm('seen', { severity: 'critical', state: 'acknowledged' }), alarm('worst', { severity: 'critical' })];
  assert.deepEqual(sortAlarms(list).map((a) => a.alert_id), ['worst', 'new', 'old', 'seen']);
  const alarms = createAlarms();
  list.concat(alarm('shelved', { shelved: { by: 'x', until: 1 } }), alarm('late', { historical: true })).forEach(alarms.put);
  assert.deepEqual(alarms.countBySeverity(), { critical: 2, high: 2, medium: 0, low: 0 });
});

test('a flood is folded at the place of its first alarm', () => {
  const now = 1_000_000;
  const few = Array.from({ length: 25 }, (_, i) => alarm(`f${i}`, { raised_at: now - i }));
  assert.equal(fold(few, now).filter((r) => r.flood).length, 0, 'twenty-five are none');
  const many = [alarm('old', { raised_at: now - 700_000 }), ...few, alarm('f25', { raised_at: now }), alarm('other', { raised_at: now, location: { building: 'B栋' } })];
  const rows = fold(many, now);
  assert.deepEqual(rows.map((r) => r.alarm?.alert_id ?? `flood of ${r.flood.alarms.length}`), ['old', 'flood of 26', 'other']);
});

test('every device has a cell, no two share one, and a point leads back to it', () => {
  const rows = Array.from({ length: 10_000 }, (_, i) => ({ index: i, id: `d${i}`, building: `${i % 3}`, floor: i % 7, room: String(i % 90) }));
  const layout = place(group(rows), 800, 420);
  assert.ok(layout.cell >= SMALLEST);
  assert.ok(layout.height <= 420);
  const seen = new Set();
  for (const r of rows) {
    const s = spot(layout, r);
    assert.equal(at(layout, s.x + 1, s.y + 1), r);
    seen.add(`${s.x},${s.y}`);
  }
  assert.equal(seen.size, rows.length);
  assert.equal(at(layout, -5, -5), null);
});

test('what does not fit grows below the edge, in the smallest cells', () => {
  const rows = Array.from({ length: 5000 }, (_, i) => ({ index: i, id: `d${i}`, building: 'A', floor: i, room: '1' }));
  const layout = place(group(rows), 400, 300);
  assert.equal(layout.cell, SMALLEST);
  assert.ok(layout.height > 300);
});

test('the page says that it is stale when nothing comes', () => {
  let now = 10_000;
  const plant = createPlant({ now: () => now });
  plant.setSocket('open');
  plant.heard();
  assert.equal(plant.liveness().state, 'waiting');
  const stats = { time: now, readings: { per_second: 1 }, sources: { hub: true, kafka: true } };
  plant.takeStats({ kind: 'delta', data: stats });
  assert.equal(plant.liveness().state, 'live');
  now += STALE + 1;
  assert.equal(plant.liveness().state, 'stale');
  plant.setSocket('waiting');
  assert.equal(plant.liveness().state, 'reconnecting');
  plant.setSocket('open');
  plant.heard();
  plant.takeStats({ kind: 'delta', data: { ...stats, sources: { hub: false, kafka: true } } });
  assert.equal(plant.liveness().state, 'stale');
});

test('lines of different times are put under one', () => {
  const { time, lines } = align([{ time: [1, 3], values: [10, null] }, { time: [2, 3], values: [20, 30] }]);
  assert.deepEqual(time, [1, 2, 3]);
  assert.deepEqual(lines, [[10, undefined, null], [undefined, 20, 30]]);
});

test('no text of a device is a formula in a spreadsheet, full-width or after blanks', () => {
  const cell = (text) => csv([['a', () => text]], [{}]).split('\r\n')[1];
  for (const text of ['=1', '+1', '-1', '@x', '\t1', '＝1', '＋1', '－1', '＠x', ' =1', '\u3000＝1', '\u200b=1']) assert.equal(cell(text), `'${text}`);
  assert.equal(cell('\n=1'), '"\'\n=1"');
  for (const text of ['', '301', 'A栋', ' 301', 'a=1']) assert.equal(cell(text), text);
});

test('a file for spreadsheets has a mark and no formulas', () => {
  const text = csv([['a', (r) => r.a], ['温度', (r) => r.b]], [{ a: '=1+1', b: -2 }, { a: 'x,"y"', b: null }]);
  assert.equal(text, '\ufeffa,温度\r\n\'=1+1,-2\r\n"x,""y""",\r\n');
});

test('only visible rows exist', () => {
  assert.deepEqual(windowOf({ top: 0, height: 320, row: 32, total: 10_000 }), { from: 0, to: 16 });
  assert.deepEqual(windowOf({ top: 320_000, height: 320, row: 32, total: 10 }), { from: 9, to: 10 });
});
