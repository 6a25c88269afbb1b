// What is drawn of the readings that raised an alarm: lines of the sensors' own values, and limits only
// where they are on those values' scale.

/** Kinds of conditions whose limit is on something else than the value. */
const OTHERWISE = ['rate', 'stuck', 'deviation'];

/**
 * drawing returns {lines: [{parameter, values}], limits: [{value, kind}], notes} of an alarm and core's
 * explanation of it. notes are keys of texts that say what the dashed lines are, or why there are none.
 */
export function drawing(alarm, { conditions, samples }) {
  const lines = [];
  const limits = [];
  const notes = new Set();
  conditions.forEach((c, i) => {
    const kind = c.kind || kindByUnit(c);
    if (!lines.some((l) => l.parameter === c.parameter)) {
      lines.push({ parameter: c.parameter, values: samples.map((s) => (s.raw ? s.raw[i] : s.values[i])) });
    }
    if (kind === 'switch') return; // on is 1 and off is 0
    if (!OTHERWISE.includes(kind)) {
      limits.push({ value: c.limit, kind: 'limit' });
      if (c.deadband > 0) limits.push({ value: c.operator.startsWith('<') ? c.limit + c.deadband : c.limit - c.deadband, kind: 'back' });
      notes.add('limit');
      return;
    }
    const room = i === 0 ? alarm.room_value : undefined;
    if (kind === 'deviation' && typeof room === 'number') {
      limits.push({ value: room, kind: 'room' }, { value: room - c.limit, kind: 'limit' }, { value: room + c.limit, kind: 'limit' });
      notes.add('room');
    } else notes.add(kind);
  });
  return { lines, limits, notes: [...notes] };
}

/**
 * extent returns [low, high] of a chart with its limits: unlike in a chart of the past they are what it is
 * about, so all of them are in view.
 */
export function extent(min, max, limits) {
  const all = [min, max, ...limits.map((l) => l.value)].filter((v) => typeof v === 'number' && Number.isFinite(v));
  if (all.length === 0) return [0, 1];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const margin = (high - low) * 0.1 || Math.max(Math.abs(high) * 0.02, 0.5);
  return [low - margin, high + margin];
}

/**
 * eventsOf returns when the alarm was raised and cleared: [{time, event}]. Where the readings alone do not
 * show it, as without the room's others, its record does.
 */
export function eventsOf(alarm, samples) {
  const seen = samples.filter((s) => s.event).map((s) => ({ time: s.time, event: s.event }));
  if (seen.length > 0 || samples.length === 0) return seen;
  return [{ time: alarm.raised_at, event: 'raised' }, { time: alarm.cleared_at, event: 'cleared' }].filter(({ time }) => time >= samples[0].time && time <= samples.at(-1).time);
}

/** kindByUnit: explanations of former versions have no kind, but a rate has its time in the unit. */
function kindByUnit(c) {
  if (/\/(s|min)$/.test(c.unit ?? '') && c.operator !== '=') return 'rate';
  if (c.operator === '>=') return 'stuck';
  return c.operator === '=' ? 'switch' : '';
}
