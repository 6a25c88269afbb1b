// What is found, and in which order: words, the table of devices, the finder.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { columnOf, groupRows, itemsOf, measure, nameOf, nextSort, readTable, sortRows, topicsOf, USUAL, writeTable } from '../src/model/table.js';
import { matches, readWords } from '../src/model/words.js';

test('words find what the portal finds', async () => {
  const { devices, found } = JSON.parse(await readFile(new URL('data/words.json', import.meta.url), 'utf8'));
  for (const [q, want] of Object.entries(found)) {
    assert.deepEqual(devices.filter((d) => matches(d, readWords(q))).map((d) => d.id), want, q);
  }
});

test('the address says everything of the table and comes back the same', () => {
  const params = { col: 'device,temperature,battery', sort: '-temperature', group: 'room', open: [encodeURIComponent('B栋/7/702'), encodeURIComponent('a,b/1/x')].join(), condition: 'low_battery,clock_off' };
  assert.deepEqual(writeTable(readTable(params)), params);
  const table = readTable(params);
  assert.deepEqual([...table.open], ['B栋/7/702', 'a,b/1/x']);
  assert.deepEqual(writeTable(readTable({})), { col: '', sort: '', group: '', open: '', condition: '' });
  const odd = readTable({ col: 'Ä,<b>,device,device', sort: 'values', group: 'moon', condition: 'tired' });
  assert.deepEqual([odd.columns, odd.sort, odd.group, odd.conditions], [['device'], '', '', []]);
});

test('a sensor whose name is a column of the table is told apart', () => {
  assert.equal(nameOf('temperature'), 'temperature');
  assert.equal(nameOf('model'), 'sensors.model');
  assert.equal(nameOf('battery'), 'battery');
  assert.deepEqual([columnOf('sensors.model').sensor, columnOf('model').sensor], ['model', '']);
});

const device = (index, more = {}) => ({ index, id: `d${index}`, name: '', building: 'A栋', floor: 1, room: '101', model: 'M', gateway: 'g', state: 1, priority: 0, alarms: 0, tags: [], ...more });
const ids = (rows) => rows.map((d) => d.id).join(' ');

test('rows without a value come last in both directions, and ties keep their order', () => {
  const rows = [0, 1, 2, 3, 4].map((i) => device(i));
  const values = [20, undefined, 31.5, 20, null];
  assert.equal(ids(sortRows(rows, 'temperature', false, values)), 'd0 d3 d2 d1 d4');
  assert.equal(ids(sortRows(rows, 'temperature', true, values)), 'd2 d0 d3 d1 d4');
  assert.equal(ids(sortRows(rows, 'age', true, [300, 100, undefined, 200, 0])), 'd1 d3 d0 d2 d4', 'the longest silent first');
  assert.equal(ids(sortRows(rows, 'clock_offset', true, [5, -90_000, undefined, 400])), 'd1 d3 d0 d2 d4');
});

test('texts are sorted by their numbers, states and alarms from bad to well', () => {
  const rows = [device(0, { room: '1001', state: 1 }), device(1, { room: '702', state: 2, priority: 4, alarms: 9 }), device(2, { room: '', state: 3, priority: 1, alarms: 1 })];
  assert.equal(ids(sortRows(rows, 'room', false)), 'd1 d0 d2');
  assert.equal(ids(sortRows(rows, 'place', false)), 'd2 d1 d0');
  assert.equal(ids(sortRows(rows, 'state', true)), 'd1 d2 d0');
  assert.equal(ids(sortRows(rows, 'alarms', true)), 'd2 d1 d0');
});

test('a press on a head sorts by what is of interest first, then the reverse', () => {
  assert.deepEqual(nextSort({ sort: '', down: false }, 'temperature'), { sort: 'temperature', down: true });
  assert.deepEqual(nextSort({ sort: 'temperature', down: true }, 'temperature'), { sort: 'temperature', down: false });
  assert.deepEqual(nextSort({ sort: 'temperature', down: true }, 'room'), { sort: 'room', down: false });
});

test('groups say count, mean, least, greatest and the worst of their devices', () => {
  const rows = [device(0, { room: '1' }), device(1, { room: '1', state: 2, priority: 3 }), device(2, { room: '2', priority: 1 }), device(3, { room: '3' })];
  const values = [20, 30, 50, undefined];
  const table = { ...readTable({ group: 'room', sort: '-temperature' }) };
  const groups = groupRows(rows, table, measure(table), values);
  assert.deepEqual(groups.map((g) => [g.first.room, g.rows.length, g.n, g.mean, g.min, g.max, g.priority, g.state]), [
    ['2', 1, 1, 50, 50, 50, 1, 1], ['1', 2, 2, 25, 20, 30, 3, 2], ['3', 1, 0, NaN, Infinity, -Infinity, 0, 1],
  ]);
  const up = groupRows(rows, { ...table, down: false }, 'temperature', values);
  assert.deepEqual(up.map((g) => g.first.room), ['1', '2', '3'], 'the least first, none last');
  const items = itemsOf(groups, new Set([groups[1].key]));
  assert.deepEqual(items.map((x) => x.device?.id ?? x.group.first.room), ['2', '1', 'd0', 'd1', '3']);
});

test('only what the order, the groups and the filters need is followed', () => {
  assert.deepEqual(topicsOf(readTable({})), []);
  assert.deepEqual(topicsOf(readTable({ sort: '-age', condition: 'low_battery' }), 'co2'), ['sensor/battery', 'sensor/co2', 'fact/seen']);
  assert.deepEqual(topicsOf(readTable({ group: 'room', col: `${USUAL},temperature` })), ['sensor/temperature']);
});

test('10,000 devices are sorted at once', (t) => {
  const rows = Array.from({ length: 10_000 }, (_, i) => device(i, { name: `Pump ${(i * 7919) % 10_000}`, room: String((i * 31) % 400) }));
  const values = rows.map((_, i) => Math.sin(i) * 40);
  for (const name of ['temperature', 'room', 'device']) {
    sortRows(rows, name, true, values);
    const from = performance.now();
    sortRows(rows, name, true, values);
    const took = performance.now() - from;
    t.diagnostic(`${name}: ${took.toFixed(1)} ms`);
    assert.ok(took < 250, `${name} took ${took} ms`); // 50 are wanted, and the machine may be busy
  }
});
