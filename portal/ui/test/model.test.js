import assert from 'node:assert/strict';
import test from 'node:test';
import { format, parse } from '../src/core/router.js';
import { csv } from '../src/core/save.js';
import { createAlarms, fold, newer, sortAlarms } from '../src/model/alarms.js';
import { createFleet, filterFleet } from '../src/model/fleet.js';
import { byName } from '../src/model/operators.js';
import { createPlant, STALE } from '../src/model/plant.js';
import { createSensors, gaugeRange, isCharted } from '../src/model/sensors.js';
import { align, createCourse } from '../src/model/series.js';
import { at, group, place, SMALLEST, spot } from '../src/parts/layout.js';
import { windowOf } from '../src/parts/rows.js';

const row = (index, id, more = {}) => {
  const d = { building: 'A栋', floor: 1, room: '101', model: 'M', gateway: 'gw-a', state: 1, priority: 0, alarms: 0, name: '', tags: [], ...more };
  return [index, id, d.building, d.floor, d.room, d.model, d.gateway, d.state, d.priority, d.alarms, d.name, d.tags];
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

test('names and tags are searched, and a sensor can be filtered by', () => {
  const fleet = createFleet();
  fleet.apply({ kind: 'snapshot', data: [{ devices: [row(0, 'a1', { name: '主水泵', tags: ['pump', '水'] }), row(1, 'a2', { tags: ['fan'] }), row(2, 'a3')] }] });
  const ids = (f, values) => filterFleet(fleet.sorted(), f, values).map((d) => d.id);
  assert.deepEqual(ids({ q: '水泵' }), ['a1']);
  assert.deepEqual(ids({ q: 'FAN' }), ['a2']);
  assert.deepEqual(ids({ tag: 'pump' }), ['a1']);
  assert.deepEqual(ids({ tag: 'pum' }), []);
  assert.deepEqual(fleet.distinct('tags'), ['fan', 'pump', '水']);
  assert.deepEqual(ids({}, [412, null, false]), ['a1', 'a3'], 'an absent value is no value, false is one');
});

const kinds = [
  { name: 'temperature', value: 'number', unit: '°C', zh: '温度', en: 'Temperature', min: -50, max: 150, decimals: 1, devices: 3, limits: [] },
  { name: 'mode', value: 'text', unit: '', devices: 1, limits: [] },
  { name: 'co2', value: 'number', unit: 'ppm', decimals: 0, devices: 2, limits: [] },
  { name: 'door', value: 'boolean', unit: '', devices: 1, limits: [] },
  { name: 'ph', value: 'number', unit: 'pH', devices: 0, limits: [] },
];

test('sensors that devices have are offered, whatever they are called', () => {
  const sensors = createSensors();
  assert.deepEqual(sensors.charted(), []);
  sensors.apply({ kind: 'snapshot', data: [{ items: kinds }] });
  assert.deepEqual(sensors.charted().map((s) => s.name), ['temperature', 'co2', 'door']);
  assert.deepEqual(sensors.charted(['number']).map((s) => s.name), ['temperature', 'co2']);
  assert.deepEqual(sensors.order(['zz', 'co2', 'aa', 'temperature']), ['temperature', 'co2', 'aa', 'zz']);
  assert.deepEqual(sensors.get('new').limits, [], 'an unknown sensor works too');
  assert.equal(sensors.get('battery').unit, '%');
  const before = sensors.version();
  sensors.apply({ kind: 'lagged', data: null });
  assert.equal(sensors.version(), before);
});

test('a value in an unknown unit is compared with nothing', () => {
  assert.equal(isCharted({ value: 5, unit: 'furlong', status: 'unit_unknown' }), false);
  assert.equal(isCharted({ value: 5, unit: '°C', status: 'high' }), true);
  assert.equal(isCharted({ value: false }), true);
  assert.equal(isCharted({ value: 'auto' }), false);
  assert.equal(isCharted(undefined), false);
});

test('a gauge reaches around the limits, else over the plausible range', () => {
  const info = { min: 0, max: 100 };
  assert.deepEqual(gaugeRange(info, [], [40, 60]), [0, 100]);
  const [low, high] = gaugeRange(info, [{ value: 80 }], [20]);
  assert.ok(low >= 0 && low <= 20 && high > 80 && high < 120);
  const wide = gaugeRange({ min: 0, max: 1_000_000 }, [], [400, 600]);
  assert.ok(wide[0] < 400 && wide[1] > 600 && wide[1] < 1000, 'the range of all that can be would be useless');
  assert.deepEqual(gaugeRange({ min: null, max: null }, [], []), [0, 1]);
  const cold = gaugeRange({ min: null, max: null }, [], [-20]);
  assert.ok(cold[0] < -20 && cold[1] > -20);
});

test('a course keeps the values of all sensors by the plant’s time', async () => {
  const course = createCourse('d 1');
  const asked = [];
  globalThis.fetch = async (path) => {
    asked.push(path);
    return { ok: true, json: async () => ({ time: [1000, 2000], step_ms: 1000, begins: 1000, values: { co2: { mean: [400, 410], min: [399, 409], max: [401, 411] }, ph: { mean: [null, null] } } }) };
  };
  await course.load(0, 5000, ['co2', 'ph']);
  assert.equal(asked[0], '/api/v1/devices/d%201/series?parameters=co2%2Cph&from=0&to=5000&points=600');
  // The device's own clock is eight hours ahead: only the plant's time counts.
  const reading = (sensors) => ({ timestamp: 28_800_000, sensors });
  course.add({ time: 3000, reading: reading({ co2: { value: 420 }, door: { value: true }, odd: { value: 5, status: 'unit_unknown' }, mode: { value: 'auto' } }) });
  course.add({ time: 2500, reading: reading({ co2: { value: 1 } }) });
  assert.deepEqual(course.sensors().sort(), ['co2', 'door']);
  assert.deepEqual(course.columns('co2', 0, 5000), { time: [1000, 2000, 3000], values: [400, 410, 420], min: [399, 409, 420], max: [401, 411, 420], single: 2500 });
  assert.deepEqual(course.columns('door', 2500, 5000).values, [1]);
});

/** answering makes a course whose portal answers with what the list says, one after the other. */
function answering(...list) {
  globalThis.fetch = async () => {
    const a = list.shift();
    return { ok: !a.error, status: a.error ? 503 : 200, json: async () => a };
  };
  return createCourse('d');
}

const live = (time, co2) => ({ time, reading: { sensors: { co2: { value: co2 } } } });

test('what an answer has is shown once, and live readings go on behind it', async () => {
  const course = answering({ step_ms: 60_000, begins: 5, time: [30_000, 90_000], values: { co2: { mean: [1, 2], min: [0, 1], max: [2, 3] } } });
  course.add(live(69_000, 7)); // the answer has it in its step
  await course.load(0, 70_000, ['co2']);
  course.add(live(71_000, 8));
  assert.deepEqual(course.columns('co2', 0, 100_000), { time: [30_000, 70_000, 71_000], values: [1, 2, 8], min: [0, 1, 8], max: [2, 3, 8], single: 70_000 }, 'the newest step is not over');
  assert.equal(course.isDue(), false, 'live readings are added without asking again');
  course.missed();
  assert.equal(course.isDue(), true, 'late ones are not');
  assert.equal(course.begins(), 5);
});

test('a gap is a gap, and another sensor’s reading is none', async () => {
  const course = answering({ step_ms: 0, begins: 1, time: [1000, 2000, 3000, 9000, 10_000], values: { co2: { mean: [1, null, 3, null, 5] }, ph: { mean: [null, 7, null, null, null] } } });
  await course.load(0, 20_000, []);
  assert.deepEqual(course.columns('co2', 0, 20_000).values, [1, 3, null, 5]);
  assert.deepEqual(course.columns('co2', 0, 20_000).time, [1000, 3000, 9000, 10_000]);
  assert.equal(course.columns('co2', 0, 20_000).single, 0, 'all are readings');
  course.add(live(11_000, 6));
  course.add(live(40_000, 9));
  assert.deepEqual(course.columns('co2', 0, 50_000).values, [1, 3, null, 5, 6, null, 9]);
});

test('without history a course has what came since the page was opened', async () => {
  const down = { error: { code: 'history_unavailable', message: 'no' } };
  const course = answering(down, { step_ms: 0, begins: 900, time: [900], values: { co2: { mean: [1] } } }, down, down);
  course.add(live(1000, 2));
  await assert.rejects(course.load(500, 1000));
  assert.equal(course.failure().code, 'history_unavailable');
  assert.equal(course.isDue(), true);
  assert.deepEqual(course.columns('co2', 0, 5000).values, [2]);
  await course.load(500, 1000);
  assert.equal(course.failure(), null);
  assert.deepEqual(course.columns('co2', 0, 5000).values, [1, 2]);
  await assert.rejects(course.load(600, 1100));
  assert.deepEqual(course.columns('co2', 0, 5000).values, [1, 2], 'what was loaded stays');
  await assert.rejects(course.load(0, 1100));
  assert.equal(course.isHeld(), false, 'but it is no answer for a longer range');
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
  assert.equal(plant.liveness().state, 'cut');
});

test('once nothing comes any more ages stand still', () => {
  let now = 1_000_000;
  const plant = createPlant({ now: () => now });
  assert.equal(plant.liveness().state, 'connecting');
  assert.equal(plant.asOf(), 0, 'there is nothing yet');
  plant.setSocket('open');
  plant.hello({ server_time: now + 500 });
  const live = (hub) => {
    plant.heard();
    plant.takeStats({ kind: 'delta', data: { time: now + 500, readings: { per_second: 1 }, sources: { hub, kafka: true } } });
  };
  live(true);
  const reading = now;
  now += 2000;
  assert.equal(plant.asOf(), 0);
  assert.equal(plant.ageOf(reading), 2500);
  now += 12_000;
  assert.equal(plant.liveness().state, 'stale', 'the socket looks open');
  assert.equal(plant.asOf(), 1_000_500);
  assert.equal(plant.ageOf(reading), 500);
  live(false);
  assert.equal(plant.liveness().state, 'cut');
  assert.equal(plant.asOf(), 1_000_500, 'readings ended with the hub');
  live(true);
  assert.equal(plant.asOf(), 0);
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

test('an operator at several portals is one person', () => {
  const people = byName([
    { name: '李工', since: 5, screens: 1, portal: 'a' },
    { name: '李工', since: 3, screens: 2, portal: 'b' },
    { name: '', since: 9, screens: 4, portal: 'a' },
  ]);
  assert.deepEqual(people, [
    { name: '李工', since: 3, screens: 3, portals: ['a', 'b'] },
    { name: '', since: 9, screens: 4, portals: ['a'] },
  ]);
  assert.deepEqual(byName([]), []);
});
