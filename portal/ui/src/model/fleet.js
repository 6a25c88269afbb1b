// All devices with location and state. The source is the topic `fleet`.

import { matches, readWords } from './words.js';

export const STATES = ['unknown', 'online', 'offline', 'stale'];
const GONE = 4;
export const PRIORITIES = ['', 'critical', 'high', 'medium', 'low'];

/** isWhole reports that a location is a building and no place in it, as that of a gateway. */
export const isWhole = (l) => !l.floor && !l.room;

const collator = new Intl.Collator('en', { numeric: true });

/** compareIDs orders ids by their numbers: device_9 before device_10. */
export function compareIDs(a, b) {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

export function createFleet() {
  const rows = []; // by the server's index; holes while a snapshot is incomplete
  const byID = new Map();
  let order = null;
  let known = 0;
  let placed = 0; // grows when a device is added or moved

  /** drop removes a device that the portal dropped. */
  function drop(index) {
    const old = rows[index];
    if (!old) return;
    byID.delete(old.id);
    rows[index] = undefined;
    known--;
    placed++;
    order = null;
  }

  function put([index, id, building, floor, room, model, gateway, state, priority, alarms, name = '', tags = [], over = 0, maintenance = 0]) {
    if (state === GONE) {
      drop(index);
      return;
    }
    const old = rows[index];
    if (!old) known++;
    else if (old.id !== id) byID.delete(old.id);
    if (!old || old.id !== id || old.building !== building || old.floor !== floor || old.room !== room) {
      placed++;
      order = null;
    }
    const row = { index, id, building, floor, room, model, gateway, state, priority, alarms, over, name, tags, maintenance };
    rows[index] = row;
    byID.set(id, row);
  }

  return {
    rows,
    byID,
    /** apply applies a frame of the topic. */
    apply({ kind, data }) {
      if (kind === 'snapshot') {
        rows.length = 0;
        byID.clear();
        order = null;
        known = 0;
        placed++;
        for (const part of data) part.devices.forEach(put);
        return;
      }
      if (kind !== 'delta') return;
      data.devices?.forEach(put);
      for (const [index, state, priority, alarms, over = 0] of data.states ?? []) {
        const row = rows[index];
        if (state === GONE) drop(index);
        else if (row) Object.assign(row, { state, priority, alarms, over });
      }
    },
    size: () => known,
    /** placed changes when a map's layout is out of date. */
    placed: () => placed,
    /** sorted returns all devices by id. */
    sorted() {
      order ??= rows.filter(Boolean).sort((a, b) => compareIDs(a.id, b.id));
      return order;
    },
    counts(building = '') {
      const c = none();
      for (const row of rows) if (row && (!building || row.building === building)) count(c, row);
      return c;
    },
    /** byPriority counts the devices that are online by the priority of their worst alarm that holds, 0 for none. */
    byPriority(building = '') {
      const by = PRIORITIES.map(() => 0);
      for (const row of rows) if (row && row.state === 1 && (!building || row.building === building)) by[row.priority]++;
      return by;
    },
    /** byBuilding returns the counts of each building: name → counts. */
    byBuilding() {
      const by = new Map();
      for (const row of rows) {
        if (!row) continue;
        if (!by.has(row.building)) by.set(row.building, none());
        count(by.get(row.building), row);
      }
      return by;
    },
    /** distinct returns the values of a field, sorted. */
    distinct(field) {
      const seen = new Set();
      for (const row of rows) for (const v of row ? [row[field]].flat() : []) if (v !== '') seen.add(v);
      return [...seen].sort((a, b) => (typeof a === 'number' ? a - b : compareIDs(a, b)));
    },
  };
}

const none = () => ({ total: 0, online: 0, offline: 0, stale: 0, unknown: 0, fault: 0 });

function count(c, row) {
  c.total++;
  c[STATES[row.state] ?? 'unknown']++;
  if (row.priority > 0 && row.state === 1) c.fault++;
}

/**
 * filterFleet returns the rows that match all filters. has are functions of a row that must hold, too.
 */
export function filterFleet(list, { q = '', building = '', floor = '', room = '', gateway = '', model = '', state = '', tag = '' }, has = []) {
  const words = readWords(q);
  const wanted = state === 'fault' ? -1 : STATES.indexOf(state);
  return list.filter((d) => {
    if (building && d.building !== building) return false;
    if (floor !== '' && String(d.floor) !== String(floor)) return false;
    if (room && d.room !== room) return false;
    if (gateway && d.gateway !== gateway) return false;
    if (model && d.model !== model) return false;
    if (tag && !d.tags.includes(tag)) return false;
    if (state && (wanted === -1 ? d.priority === 0 : d.state !== wanted)) return false;
    for (const f of has) if (!f(d)) return false;
    return matches(d, words);
  });
}
