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
/** holds reports that an alarm's condition holds and that nobody put it aside. */
export const holds = (a) => a.status === 'active' && needsAttention(a);
/** isOverUnseen reports that an alarm is over and nobody has acknowledged it. */
export const isOverUnseen = (a) => a.status !== 'active' && needsAttention(a);
/** raisedAt is when an alarm came up, also of old records. */
export const raisedAt = (a) => a.raised_at || a.timestamp;

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
    countBySeverity(keep = holds) {
      const by = { critical: 0, high: 0, medium: 0, low: 0 };
      for (const a of all.values()) if (keep(a) && a.severity in by) by[a.severity]++;
      return by;
    },
    ofDevice: (id) => [...all.values()].filter((a) => a.device_id === id),
  };
}

/** urgency orders alarms: what holds and is not acknowledged, what holds, what is over and unseen, the rest. */
export function urgency(a) {
  if (a.status === 'active') return isUnseen(a) ? 0 : 1;
  return isUnseen(a) ? 2 : 3;
}

const attention = (a, b) => urgency(a) - urgency(b) || rank(a.severity) - rank(b.severity) || raisedAt(b) - raisedAt(a);

const ORDERS = {
  attention,
  newest: (a, b) => raisedAt(b) - raisedAt(a),
  oldest: (a, b) => raisedAt(a) - raisedAt(b),
  device: (a, b) => compareIDs(a.device_id, b.device_id) || attention(a, b),
  times: (a, b) => (b.occurrence_count || 1) - (a.occurrence_count || 1) || attention(a, b),
};

/** SORTS are the orders of a list of alarms, the usual one first. */
export const SORTS = Object.keys(ORDERS);

/** sortAlarms sorts by urgency, severity and time, newest first, or in another of the orders. */
export function sortAlarms(list, by = 'attention') {
  const order = ORDERS[by] ?? attention;
  return [...list].sort((a, b) => order(a, b) || compareIDs(a.alert_id, b.alert_id));
}

/**
 * createSearch returns search(list, q): the alarms that have every word of q in their texts; textOf adds to an
 * alarm's own. The texts of an alarm, which is never changed in place, are put together once.
 */
export function createSearch(textOf = () => '') {
  const texts = new WeakMap();

  function textsOf(a) {
    if (!texts.has(a)) {
      const l = a.location ?? {};
      texts.set(a, [a.device_id, a.alert_type, a.message, l.building, l.room, a.gateway, a.assignee, a.rule, a.alert_id, textOf(a)].join(' ').toLowerCase());
    }
    return texts.get(a);
  }

  return (list, q) => {
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    return words.length === 0 ? list : list.filter((a) => words.every((w) => textsOf(a).includes(w)));
  };
}
