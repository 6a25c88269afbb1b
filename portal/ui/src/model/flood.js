// Folding: many alarms of one kind and place are one row, with the newest of them below it. It is
// no alarm flood; what is one, the portal says.
import { raisedAt, urgency } from './alarms.js';

/** More alarms of one building, type, severity and state than this are folded. */
export const FOLD = 5;
/** So many of them, the newest, keep rows of their own. */
export const INSIDE = 3;

const keyOf = (a) => [urgency(a), a.severity, a.location?.building ?? '', a.alert_type].join('/');

/**
 * fold returns rows for a list of alarms, in its order: {alarm}, and {group} at the place of a group's
 * first alarm, followed by {alarm, of} for its newest, or for all of it if its key is among the unfolded.
 * A group is {key, building, type, severity, alarms, since}, since when the oldest holds.
 */
export function fold(list, unfolded = new Set()) {
  const groups = new Map();
  for (const a of list) {
    const key = keyOf(a);
    if (!groups.has(key)) groups.set(key, { key, building: a.location?.building ?? '', type: a.alert_type, severity: a.severity, alarms: [], since: Infinity });
    const g = groups.get(key);
    g.alarms.push(a);
    g.since = Math.min(g.since, raisedAt(a));
  }
  const rows = [];
  const placed = new Set();
  for (const a of list) {
    const group = groups.get(keyOf(a));
    if (group.alarms.length <= FOLD) rows.push({ alarm: a });
    else if (!placed.has(group)) {
      placed.add(group);
      rows.push({ group });
      const inside = unfolded.has(group.key) ? group.alarms : newest(group.alarms);
      for (const alarm of inside) rows.push({ alarm, of: group });
    }
  }
  return rows;
}

function newest(alarms) {
  const last = [...alarms].sort((a, b) => raisedAt(b) - raisedAt(a)).slice(0, INSIDE);
  return alarms.filter((a) => last.includes(a));
}
