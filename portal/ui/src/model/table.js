// The table of devices as its address describes it: columns, order, groups, conditions. Pure functions.
import { compareIDs, STATES } from './fleet.js';

/** Columns that are no sensors. topic is where the portal gives the value of every device. */
const FIXED = {
  state: { number: true },
  device: {},
  place: {},
  building: {},
  floor: { number: true },
  room: {},
  model: {},
  gateway: {},
  firmware: { topic: 'fact/firmware' },
  tags: {},
  battery: { number: true, topic: 'sensor/battery' },
  signal_strength: { number: true, topic: 'sensor/signal_strength' },
  clock_offset: { number: true, topic: 'fact/clock_offset' },
  alarms: { number: true },
  maintenance: { number: true }, // until when
  values: { fixed: true },
  age: { number: true, topic: 'fact/seen' },
};

export const COLUMNS = Object.keys(FIXED);
export const USUAL = ['state', 'device', 'place', 'model', 'values', 'age'];
export const GROUPS = ['room', 'floor', 'building', 'gateway', 'model'];

/** What devices are looked for by; the portal's parameter condition has the same words and limits. */
export const CONDITIONS = {
  low_battery: { topic: 'sensor/battery', holds: (v) => v > 0 && v <= 20 },
  weak_signal: { topic: 'sensor/signal_strength', holds: (v) => v <= -80 },
  clock_off: { topic: 'fact/clock_offset', holds: (v) => v !== 0 },
  maintenance: { topic: '', holds: (v, d) => d.maintenance > 0 },
};

const SENSOR = 'sensors.'; // before a sensor whose name is that of a column

/** columnOf returns {name, sensor, number, topic, fixed} of a column; sensor is '' unless it is one. */
export function columnOf(name) {
  const fixed = FIXED[name];
  if (fixed) return { name, sensor: name === 'battery' || name === 'signal_strength' ? name : '', number: false, topic: '', fixed: false, ...fixed };
  const sensor = name.startsWith(SENSOR) ? name.slice(SENSOR.length) : name;
  return { name, sensor, number: true, topic: `sensor/${sensor}`, fixed: false };
}

/** nameOf is the name of a sensor's column. */
export const nameOf = (sensor) => (FIXED[sensor] && !columnOf(sensor).sensor ? `${SENSOR}${sensor}` : sensor);

const VALID = /^(sensors\.)?[a-z][a-z0-9_]{0,31}$/;
const list = (text) => (text ?? '').split(',').filter(Boolean);

/** readTable reads what the parameters of an address say of the table. */
export function readTable(params) {
  const text = params.sort ?? '';
  const sort = text.replace(/^-/, '');
  const columns = [...new Set(list(params.col).filter((c) => VALID.test(c)))];
  return {
    columns: columns.length > 0 ? columns : USUAL,
    sort: VALID.test(sort) && sort !== 'values' ? sort : '',
    down: text.startsWith('-'),
    group: GROUPS.includes(params.group) ? params.group : '',
    open: new Set(list(params.open).map(decodeURIComponent)),
    conditions: list(params.condition).filter((c) => CONDITIONS[c]),
  };
}

/** writeTable is the inverse of readTable; what is usual is left out. */
export function writeTable({ columns, sort, down, group, open, conditions }) {
  return {
    col: columns.join() === USUAL.join() ? '' : columns.join(),
    sort: sort ? `${down ? '-' : ''}${sort}` : '',
    group,
    open: group ? [...open].map(encodeURIComponent).join() : '',
    condition: conditions.join(),
  };
}

/** apiSort is the same order for the portal's lists, '' if they do not have it. */
export function apiSort({ sort, down }) {
  const minus = down ? '-' : '';
  if (sort === 'device') return `${minus}name`;
  if (sort === 'age') return `${down ? '' : '-'}age`; // the portal's begins with the oldest
  if (sort === 'alarms') return `${down ? '' : '-'}alerts`; // and with the worst
  const { sensor } = columnOf(sort || 'device');
  return sensor ? `${minus}sensors.${sensor}` : '';
}

/** nextSort is the order after a press on a column's head: what is most of interest first, then the reverse. */
export function nextSort(table, name) {
  if (table.sort === name) return { sort: name, down: !table.down };
  return { sort: name, down: columnOf(name).number && name !== 'floor' };
}

/** topicsOf returns what must be known of every device to show a table in its order. */
export function topicsOf({ sort, columns, group, conditions }, sensor = '') {
  const topics = conditions.map((c) => CONDITIONS[c].topic).filter(Boolean);
  if (sensor) topics.push(`sensor/${sensor}`);
  if (sort && columnOf(sort).topic) topics.push(columnOf(sort).topic);
  const measured = group ? measure({ sort, columns }) : '';
  if (measured) topics.push(columnOf(measured).topic);
  return [...new Set(topics)];
}

/** measure is the column whose mean, least and greatest value groups show: the sorted one, or the first of a sensor. */
export function measure({ sort, columns }) {
  const can = (name) => name !== '' && columnOf(name).number && columnOf(name).topic !== '';
  return can(sort) ? sort : (columns.find((c) => can(c) && c !== 'age') ?? '');
}

/** The states from well to bad. */
const BAD = STATES.map((name) => ['online', 'unknown', 'stale', 'offline'].indexOf(name));

/** keyOf returns what a column is sorted by: of a device, given the values of its topic by index. */
export function keyOf(name, values = []) {
  const { topic, sensor } = columnOf(name);
  switch (name) {
    case 'state': return (d) => BAD[d.state] ?? 0;
    case 'alarms': return (d) => (d.priority > 0 ? (5 - d.priority) * 1e6 + d.alarms : 0);
    case 'device': return (d) => d.name || d.id;
    case 'place': return (d) => `${d.building}\t${d.floor}\t${d.room}`;
    case 'maintenance': return (d) => d.maintenance || undefined;
    case 'tags': return (d) => d.tags.join();
    case 'age': return (d) => (values[d.index] > 0 ? -values[d.index] : undefined);
    case 'clock_offset': return (d) => (values[d.index] ? Math.abs(values[d.index]) : undefined);
    default:
  }
  if (!topic) return (d) => d[name];
  return (d) => {
    const v = values[d.index];
    return typeof v === 'boolean' && sensor ? Number(v) : (v ?? undefined);
  };
}

/** sortRows returns the rows in the order of a column; those without a value come last, ties stay as they are. */
export function sortRows(rows, name, down, values) {
  if (!name) return rows;
  const key = keyOf(name, values);
  const keys = rows.map(key);
  const rank = keys.some((k) => typeof k === 'string') ? rankTexts(keys) : (k) => k;
  const sign = down ? -1 : 1;
  const at = keys.map((k) => (k === undefined || k === '' || k !== k ? null : rank(k)));
  const order = rows.map((_, i) => i);
  order.sort((a, b) => {
    const x = at[a];
    const y = at[b];
    if (x === null || y === null) return x === y ? a - b : x === null ? 1 : -1;
    return (x - y) * sign || a - b;
  });
  return order.map((i) => rows[i]);
}

const padded = new Map(); // text → the same with its numbers padded
const PADDED = 50_000; // texts, several times what a plant has

function pad(text) {
  let out = padded.get(text);
  if (out === undefined) {
    if (padded.size >= PADDED) padded.clear();
    out = String(text).toLowerCase().replace(/\d+/g, (n) => n.padStart(12, '0'));
    padded.set(text, out);
  }
  return out;
}

/** rankTexts orders texts by their numbers, device_9 before device_10, by padding: a collator takes ten times as long. */
function rankTexts(keys) {
  const ranks = new Map([...new Set(keys.map(pad))].sort().map((text, i) => [text, i]));
  return (k) => ranks.get(pad(k));
}

const KEYS = {
  room: (d) => `${d.building}/${d.floor}/${d.room}`,
  floor: (d) => `${d.building}/${d.floor}`,
  building: (d) => d.building,
  gateway: (d) => d.gateway,
  model: (d) => d.model,
};

/**
 * groupRows puts rows together: [{key, first, rows, n, mean, min, max, priority, state}], n devices with a value of
 * the measured column. Groups are sorted by their greatest value, or their least, if that column is what rows are sorted by; else by name.
 */
export function groupRows(rows, { group, sort, down }, measured, values) {
  const key = KEYS[group];
  const value = measured ? keyOf(measured, values) : () => undefined;
  const groups = new Map();
  for (const d of rows) {
    const k = key(d);
    let g = groups.get(k);
    if (!g) groups.set(k, (g = { key: k, first: d, rows: [], n: 0, sum: 0, min: Infinity, max: -Infinity, priority: 0, state: 1 }));
    g.rows.push(d);
    if (d.priority > 0 && (g.priority === 0 || d.priority < g.priority)) g.priority = d.priority;
    if (BAD[d.state] > BAD[g.state]) g.state = d.state;
    const v = value(d);
    if (typeof v !== 'number' || v !== v) continue;
    g.n++;
    g.sum += v;
    if (v < g.min) g.min = v;
    if (v > g.max) g.max = v;
  }
  const all = [...groups.values()];
  for (const g of all) g.mean = g.n > 0 ? g.sum / g.n : NaN;
  const byName = (a, b) => compareIDs(a.key, b.key);
  if (!measured || sort !== measured) return all.sort(byName);
  const edge = (g) => (g.n === 0 ? -Infinity : down ? g.max : -g.min);
  return all.sort((a, b) => edge(b) - edge(a) || byName(a, b));
}

/** itemsOf lists what a table shows: {group} and {device}, the devices of open groups alone. */
export function itemsOf(groups, open) {
  const items = [];
  for (const group of groups) {
    items.push({ group });
    if (open.has(group.key)) for (const device of group.rows) items.push({ device });
  }
  return items;
}
