// When alarms were raised and cleared, for the time axis of a chart.
import { newer, rank } from './alarms.js';

/** together puts alarms of several sources into one list: the newest record of each. */
export function together(...lists) {
  const by = new Map();
  for (const a of lists.flat()) {
    const old = by.get(a.alert_id);
    if (!old || newer(old, a)) by.set(a.alert_id, a);
  }
  return [...by.values()];
}

/**
 * marksOf returns [{time, severity, over, alarm}] of the alarms that concern a sensor, or no sensor at all, between two
 * times; the least severe first, so that the others are drawn over them. over: it was cleared then.
 */
export function marksOf(alarms, sensor, from, to) {
  const marks = [];
  const mark = (alarm, time, over) => {
    if (time >= from && time <= to) marks.push({ time, severity: alarm.severity, over, alarm });
  };
  for (const a of alarms) {
    if (a.threshold?.parameter && a.threshold.parameter !== sensor) continue;
    mark(a, a.raised_at || a.timestamp, false);
    if (a.status === 'cleared' && a.cleared_at) mark(a, a.cleared_at, true);
  }
  return marks.sort((a, b) => rank(b.severity) - rank(a.severity) || a.time - b.time);
}
