// Alarms for operators: all that are not normal, and the newest closed ones. The source is the
// topic `alerts`; of the records of one alarm the highest revision counts.
import { compareIDs } from './fleet.js';

export const SEVERITIES = ['critical', 'high', 'medium', 'low'];
const KEEP_NORMAL = 300;

/** rank orders severities, worst first. */
export function rank(severity) {
  const i = SEVERITIES.indexOf(severity);
  return i < 0 ? SEVERITIES.length : i;
}

/** stateOf returns an alarm's state, also for old records without one. */
export function stateOf(a) {
  return a.state || (a.status === 'active' ? 'unacknowledged' : 'normal');
}

export const isUnseen = (a) => stateOf(a) === 'unacknowledged' || stateOf(a) === 'returned_unacknowledged';
export const isOpen = (a) => stateOf(a) !== 'normal';
/** isQuiet reports that an alarm needs no attention now. */
export const isQuiet = (a) => Boolean(a.shelved || a.suppressed || a.out_of_service || a.historical || a.uncertain);
export const needsAttention = (a) => isOpen(a) && !isQuiet(a);

/** newer reports whether record b replaces record a of the same alarm. */
export function newer(a, b) {
  if (a.revision || b.revision) return (b.revision ?? 0) > (a.revision ?? 0);
  return a.status === 'active' && (b.status !== 'active' || b.timestamp > a.timestamp);
}

export function createAlarms() {
  const all = new Map();
  let version = 0;
  let lastCleared = 0;

  function put(a) {
    const old = all.get(a.alert_id);
    if (old && !newer(old, a)) return false;
    all.set(a.alert_id, a);
    if (a.cleared_at) lastCleared = Math.max(lastCleared, a.cleared_at);
    version++;
    return !old || a.event === 'raised' || a.event === 'repeated';
  }

  function trim() {
    if (all.size < 2 * KEEP_NORMAL) return;
    const normal = [...all.values()].filter((a) => !isOpen(a)).sort((a, b) => a.timestamp - b.timestamp);
    for (const a of normal.slice(0, Math.max(normal.length - KEEP_NORMAL, 0))) all.delete(a.alert_id);
  }

  return {
    all,
    version: () => version,
    lastCleared: () => lastCleared,
    /** apply applies a frame of the topic and returns a new alarm, or null. */
    apply({ kind, data }) {
      if (kind === 'snapshot') {
        const open = new Set();
        for (const part of data) for (const a of part.alerts) open.add(a.alert_id);
        // Open alarms that the snapshot lacks were closed while we were disconnected.
        for (const [id, a] of all) if (isOpen(a) && !open.has(id)) all.delete(id);
        for (const part of data) part.alerts.forEach(put);
        version++;
        return null;
      }
      if (kind !== 'delta') return null;
      const fresh = put(data.alert);
      trim();
      return fresh && needsAttention(data.alert) ? data.alert : null;
    },
    /** put adds one alarm from another source, such as the REST API. */
    put,
    list: (keep) => [...all.values()].filter(keep),
    countBySeverity(keep = needsAttention) {
      const by = { critical: 0, high: 0, medium: 0, low: 0 };
      for (const a of all.values()) if (keep(a) && a.severity in by) by[a.severity]++;
      return by;
    },
    ofDevice: (id) => [...all.values()].filter((a) => a.device_id === id),
  };
}

/** sortAlarms sorts by unacknowledged, severity and time, newest first. */
export function sortAlarms(list) {
  return [...list].sort(
    (a, b) =>
      Number(isUnseen(b)) - Number(isUnseen(a)) ||
      rank(a.severity) - rank(b.severity) ||
      (b.raised_at || b.timestamp) - (a.raised_at || a.timestamp) ||
      compareIDs(a.alert_id, b.alert_id),
  );
}

/** More alarms from one building within ten minutes are folded into one row. */
export const FLOOD = 25;
const FLOOD_WINDOW = 600_000;

/**
 * fold puts floods together: a list of {alarm} and {flood: {building, alarms, from, to}},
 * in the order of the list, a flood at the place of its first alarm.
 */
export function fold(list, now, limit = FLOOD) {
  const recent = new Map();
  for (const a of list) {
    const at = a.raised_at || a.timestamp;
    if (now - at > FLOOD_WINDOW) continue;
    const key = a.location?.building ?? '';
    if (!recent.has(key)) recent.set(key, []);
    recent.get(key).push(a);
  }
  const floods = new Map();
  for (const [building, alarms] of recent) {
    if (alarms.length <= limit) continue;
    const times = alarms.map((a) => a.raised_at || a.timestamp);
    floods.set(building, { building, alarms, from: Math.min(...times), to: Math.max(...times), placed: false });
  }
  const out = [];
  for (const a of list) {
    const flood = now - (a.raised_at || a.timestamp) > FLOOD_WINDOW ? null : floods.get(a.location?.building ?? '');
    if (!flood) out.push({ alarm: a });
    else if (!flood.placed) {
      flood.placed = true;
      out.push({ flood });
    }
  }
  return out;
}
