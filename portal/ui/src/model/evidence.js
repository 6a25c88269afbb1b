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

/** kindByUnit: explanations of former versions have no kind, but a rate has its time in the unit. */
function kindByUnit(c) {
  if (/\/(s|min)$/.test(c.unit ?? '') && c.operator !== '=') return 'rate';
  if (c.operator === '>=') return 'stuck';
  return c.operator === '=' ? 'switch' : '';
}
