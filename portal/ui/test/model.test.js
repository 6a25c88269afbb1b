import assert from 'node:assert/strict';
import test from 'node:test';
import { carry, createRouter, format, parse } from '../src/core/router.js';
import { csv } from '../src/core/save.js';
import en from '../src/i18n/en.js';
import zh from '../src/i18n/zh.js';
import { createAlarms, createSearch, newer, sortAlarms } from '../src/model/alarms.js';
import { createFleet, filterFleet } from '../src/model/fleet.js';
import { byName } from '../src/model/operators.js';
import { extend, figuresAt, groupProcesses, grows, programNames } from '../src/model/pipeline.js';
import { fold } from '../src/model/flood.js';
import { createPlant, STALE } from '../src/model/plant.js';
import { createSensors, gaugeRange, isCharted } from '../src/model/sensors.js';
import { align, createCourse } from '../src/model/series.js';
import { lookOf, rangeOf, scaleOf } from '../src/parts/cell.js';
import { at, group, place, placeSteady, SMALLEST, spot } from '../src/parts/layout.js';
import { windowOf } from '../src/parts/rows.js';

const row = (index, id, more = {}) => {
  const d = { building: 'A栋', floor: 1, room: '101', model: 'M', gateway: 'gw-a', state: 1, priority: 0, alarms: 0, name: '', tags: [], ...more };
  return [index, id, d.building, d.floor, d.room, d.model, d.gateway, d.state, d.priority, d.alarms, d.name, d.tags, d.over ?? 0];
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
  assert.deepEqual(ids({ q: 'A栋' }), ['a1', 'a2']);
  assert.deepEqual(ids({ q: '777' }), ['b1']);
  assert.deepEqual(ids({ state: 'offline' }), ['a2']);
  assert.deepEqual(ids({ state: 'fault' }), ['b1']);
  assert.deepEqual(ids({ floor: '2', building: 'A栋' }), ['a2']);
});

test('names and tags are searched, and a sensor can be filtered by', () => {
  const fleet = createFleet();
  fleet.apply({ kind: 'snapshot', data: [{ devices: [row(0, 'a1', { name: '主水泵', tags: ['pump', '水'] }), row(1, 'a2', { tags: ['fan'] }), row(2, 'a3')] }] });
  const ids = (f, has) => filterFleet(fleet.sorted(), f, has).map((d) => d.id);
  assert.deepEqual(ids({ q: '水泵' }), ['a1']);
  assert.deepEqual(ids({ q: 'FAN' }), ['a2']);
  assert.deepEqual(ids({ tag: 'pump' }), ['a1']);
  assert.deepEqual(ids({ tag: 'pum' }), []);
  assert.deepEqual(fleet.distinct('tags'), ['fan', 'pump', '水']);
  assert.deepEqual(ids({}, [(d) => d.index !== 1]), ['a1', 'a3']);
});

test('a building is carried from page to page unless an address says another, or none', () => {
  const to = (hash) => carry(parse(hash), { b: 'B栋' }).params;
  assert.deepEqual(to('#/alarms?tab=journal'), { b: 'B栋', tab: 'journal' });
  assert.deepEqual(to('#/alarms?b=A%E6%A0%8B'), { b: 'A栋' });
  assert.deepEqual(to('#/alarms?b='), { b: '' });
  assert.deepEqual(carry(parse('#/alarms'), { b: '' }).params, {});
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
  course.add(live(69_000, 7)); // in the newest step: the historian may not have had it yet
  await course.load(0, 70_000, ['co2']);
  course.add(live(71_000, 8));
  assert.deepEqual(course.columns('co2', 0, 100_000), { time: [30_000, 70_000, 71_000], values: [1, 2, 8], min: [0, 1, 8], max: [2, 7, 8], single: 70_000 }, 'the newest step is not over');
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

test('what needs attention: what holds first, unseen before seen, then the worst, then the newest', () => {
  const over = { status: 'cleared', state: 'returned_unacknowledged' };
  const list = [
    alarm('over', { ...over, severity: 'critical', raised_at: 9000 }), alarm('old'), alarm('new', { raised_at: 2000 }),
    alarm('seen', { severity: 'critical', state: 'acknowledged' }), alarm('worst', { severity: 'critical' }),
  ];
  assert.deepEqual(sortAlarms(list).map((a) => a.alert_id), ['worst', 'new', 'old', 'seen', 'over']);
  assert.deepEqual(sortAlarms(list, 'newest').map((a) => a.alert_id), ['over', 'new', 'old', 'seen', 'worst']);
  assert.deepEqual(sortAlarms(list, 'oldest').map((a) => a.alert_id).at(-1), 'over');
  const alarms = createAlarms();
  list.concat(alarm('shelved', { shelved: { by: 'x', until: 1 } }), alarm('late', { historical: true })).forEach(alarms.put);
  assert.deepEqual(alarms.countBySeverity(), { critical: 2, high: 2, medium: 0, low: 0 }, 'what is over is not counted');
});

test('every word must be in one of an alarm’s texts', () => {
  const list = [alarm('1', { device_id: 'pump_1', location: { building: 'A栋', room: '702' } }), alarm('2', { device_id: 'pump_2', location: { building: 'B栋', room: '702' } })];
  const ids = (q, f) => createSearch(f)(list, q).map((a) => a.alert_id);
  assert.deepEqual(ids(' '), ['1', '2']);
  assert.deepEqual(ids('PUMP b栋'), ['2']);
  assert.deepEqual(ids('702 pump_1'), ['1']);
  assert.deepEqual(ids('hot', (a) => (a.alert_id === '2' ? 'too Hot' : '')), ['2']);
});

test('alarms of one kind and place are folded, the newest keep their rows, and a critical one never goes under', () => {
  const lows = (n, more = {}) => Array.from({ length: n }, (_, i) => alarm(`f${i}`, { severity: 'low', alert_type: 'x', raised_at: 1000 + i, ...more }));
  const shape = (rows) => rows.map((r) => (r.alarm ? r.alarm.alert_id : `${r.group.alarms.length} in ${r.group.building} since ${r.group.since}`));
  assert.equal(fold(lows(5)).filter((r) => r.group).length, 0, 'five are few');
  assert.deepEqual(shape(fold(sortAlarms(lows(200)))), ['200 in A栋 since 1000', 'f199', 'f198', 'f197']);
  const list = sortAlarms([...lows(200), alarm('worst', { severity: 'critical', alert_type: 'x' }), alarm('other', { severity: 'low', alert_type: 'x', location: { building: 'B栋' } }), alarm('kind', { severity: 'low', alert_type: 'y' })]);
  assert.deepEqual(shape(fold(list)), ['worst', '200 in A栋 since 1000', 'f199', 'f198', 'f197', 'kind', 'other']);
  const criticals = sortAlarms([...lows(200, { severity: 'critical' }), alarm('newest', { severity: 'critical', alert_type: 'x', raised_at: 9000 })]);
  assert.deepEqual(shape(fold(criticals)).slice(0, 2), ['201 in A栋 since 1000', 'newest'], 'among many of its kind it still has its own row');
  const key = fold(list).find((r) => r.group).group.key;
  assert.equal(fold(list, new Set([key])).length, 204, 'unfolded, all have');
  const half = sortAlarms([...lows(200), ...lows(200, { state: 'acknowledged' })]);
  assert.deepEqual(fold(half).filter((r) => r.group).map((r) => r.group.alarms.length), [200, 200], 'acknowledged ones are apart');
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

test('what does not fit grows below the edge: many devices in the smallest cells, many floors in readable ones', () => {
  const rows = (n, floors) => Array.from({ length: n }, (_, i) => ({ index: i, id: `d${i}`, building: 'A', floor: i % floors, room: '1' }));
  const crowded = place(group(rows(20_000, 1)), 400, 300);
  assert.equal(crowded.cell, SMALLEST);
  assert.ok(crowded.height > 300);
  const tall = place(group(rows(200, 200)), 400, 300);
  assert.equal(tall.cell, 10);
  assert.ok(tall.height > 300);
});

test('a banner does not shrink the cells of the map a lot', () => {
  const floors = Array.from({ length: 60 }, (_, i) => ({ building: `B${i % 4}`, floor: Math.floor(i / 20), room: '1', id: `d${i}` }));
  const groups = group(floors);
  const [width, height] = [500, place(groups, 500, 1000).height];
  const cell = place(groups, width, height).cell;
  for (let h = height; h > 0; h -= 5) {
    const now = placeSteady(groups, width, h, height);
    if (h >= height / 2) assert.ok(now.cell >= 0.7 * cell, `${now.cell} of ${cell} at ${h} of ${height}`);
    else assert.deepEqual(now, place(groups, width, h), 'a much smaller box is another one');
  }
  assert.deepEqual(placeSteady(groups, width, height, height / 2), place(groups, width, height), 'a taller box is filled');
});

test('a cell says what holds, what is over and what is offline', () => {
  const d = (more) => ({ index: 0, state: 1, priority: 0, over: 0, ...more });
  const scale = scaleOf([10, 20, 30, null, 'auto', undefined, true]);
  assert.deepEqual([scale.low, scale.high, scale.step(-5), scale.step(20), scale.step(99)], [1, 20, 1, 5, 5]);
  assert.equal(scaleOf([null, 'auto']), null);
  assert.equal(scaleOf([7, 7]).step(7), 1, 'one value alone');
  assert.deepEqual(lookOf(d(), 20, null), { ground: 'cell', fill: '', outline: '', hatched: false, maintained: false });
  assert.deepEqual(lookOf(d({ priority: 1, over: 2 }), 20, scale), { ground: 5, fill: 'critical', outline: 'high', hatched: false, maintained: false });
  assert.deepEqual(lookOf(d({ over: 4 }), undefined, scale), { ground: 'dim', fill: '', outline: 'low', hatched: false, maintained: false }, 'without a value');
  for (const s of [null, scale]) assert.deepEqual(lookOf(d({ state: 2, priority: 3 }), 20, s), { ground: 'offline', fill: 'medium', outline: '', hatched: true, maintained: false }, 'offline in every mode, in alarm too');
  assert.equal(lookOf(d({ maintenance: 1 }), 20, null).maintained, true);
  assert.deepEqual(rangeOf([{ index: 0 }, { index: 1 }, { index: 2 }], [31.4, null, 24]), [24, 31.4]);
  assert.equal(rangeOf([{ index: 1 }], [1, null]), null);
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

test('the words of INSECURE are those of the portal the page is connected to', () => {
  const plant = createPlant({ now: () => 0 });
  assert.deepEqual(plant.state.insecure, []);
  plant.hello({ server_time: 0, insecure: ['anonymous', 'plaintext'] });
  assert.deepEqual(plant.state.insecure, ['anonymous', 'plaintext']);
  for (const words of [en, zh]) for (const what of plant.state.insecure) assert.ok(words[`banner.insecure.${what}`], what);
  plant.hello({ server_time: 0 });
  assert.deepEqual(plant.state.insecure, [], 'started again without');
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

test('the courses of stages are continued', () => {
  const answer = (from, rates) => ({ from, step_ms: 5, stages: [{ stage: 'core', rate: 1, ms: null, p99_ms: null, lag: null, course: { rate: rates, ms: rates.map(() => null), lag: rates.map(() => null) } }] });
  const first = answer(100, [1, 2, 3, 4]);
  assert.equal(extend(null, first), first);
  const next = extend(first, answer(110, [30, 40, 5]));
  assert.deepEqual(next.stages[0].course.rate, [2, 30, 40, 5], 'the later one counts, and the length stays');
  assert.equal(next.from, 105);
  assert.deepEqual(figuresAt(next.stages[0], 1), { rate: 30, ms: null, p99: null, lag: null });
  assert.equal(figuresAt(next.stages[0], null).rate, 1);
  assert.deepEqual(extend(next, answer(900, [7])).stages[0].course.rate, [7], 'after a gap nothing is continued');
});

test('programs that share a process are one', () => {
  const p = (program, instance, pid, restarts = 0) => ({ program, instance, host: 'h', pid, restarts, memory_bytes: 100, memory_per_minute: null });
  const groups = groupProcesses([p('edge', 'gw-a', 1), p('edge', 'gw-b', 1, 2), p('core', 'c', 1), p('core', 'd', 2)]);
  assert.deepEqual(groups.map((g) => programNames(g.programs)), ['edge gw-a, gw-b · core c', 'core d']);
  assert.equal(groups[0].restarts, 2);
  assert.equal(grows(p('core', 'c', 1)), false, 'too little is known');
  assert.equal(grows({ memory_bytes: 100, memory_per_minute: 0.5 }), true);
  assert.equal(grows({ memory_bytes: 100, memory_per_minute: 0.4 }), false);
});

test('the building stays when a page sets its parameters before a new address arrives', () => {
  const before = ['location', 'history', 'addEventListener'].map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  const place = (value) => ({ value, configurable: true, writable: true });
  Object.defineProperties(globalThis, {
    location: place({ hash: '#/overview?b=B' }), history: place({ replaceState: (_state, _title, hash) => (location.hash = hash) }), addEventListener: place(() => {}),
  });
  try {
    const router = createRouter(() => {}, ['b']);
    router.start();
    location.hash = '#/devices'; // the event comes later
    assert.equal(router.set({ sort: 'id' }).params.b, 'B');
    assert.equal(router.set({ b: '' }).params.b, undefined, 'who leaves the building has left it');
  } finally {
    for (const [name, was] of before) was ? Object.defineProperty(globalThis, name, was) : delete globalThis[name];
  }
});
