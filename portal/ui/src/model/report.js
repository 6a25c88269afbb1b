// Which time a report is about, and what its figures are compared with. Pure functions; times of day are
// local.

export const KINDS = ['shift', 'day', 'week'];
const USUAL = ['00:00', '08:00', '16:00'];
const DAY = 86_400_000;

/** startOfDay is local midnight, days later. It lasts 23 or 25 hours when clocks change. */
function startOfDay(ms, days = 0) {
  const d = new Date(ms);
  return new Date(d.getFullYear(), d.getMonth(), d.getDate() + days).getTime();
}

/** starts returns when shifts begin, from the day before a moment to the one after it. */
function shiftStarts(ms, times) {
  return [-1, 0, 1, 2].flatMap((days) => {
    const d = new Date(startOfDay(ms, days));
    return (times?.length ? times : USUAL).map((t) => {
      const [hour, minute] = t.split(':').map(Number);
      return new Date(d.getFullYear(), d.getMonth(), d.getDate(), hour, minute).getTime();
    });
  });
}

/** windowAt is the shift, day or week {from, to} that a moment is in. Weeks begin on Monday. */
export function windowAt(kind, ms, times) {
  if (kind === 'day') return { from: startOfDay(ms), to: startOfDay(ms, 1) };
  if (kind === 'week') {
    const monday = startOfDay(ms, -((new Date(ms).getDay() + 6) % 7));
    return { from: monday, to: startOfDay(monday, 7) };
  }
  const starts = shiftStarts(ms, times);
  const i = starts.findLastIndex((s) => s <= ms);
  return { from: starts[i], to: starts[i + 1] };
}

/** beside is the window before (-1) or behind (1) another one. */
export function beside(kind, { from, to }, way, times) {
  if (!KINDS.includes(kind)) return { from: from + way * (to - from), to: to + way * (to - from) };
  return windowAt(kind, way < 0 ? from - 1 : to, times);
}

/** earlier is what a window is compared with: as much of the one before as of this one is over. */
export function earlier(kind, window, until, times) {
  const before = beside(kind, window, -1, times);
  return until < window.to ? { from: before.from, to: Math.min(before.to, before.from + until - window.from) } : before;
}

/** change compares a figure with the one before: ▲, ▼, = or nothing if one of them is unknown. */
export function change(now, before) {
  if (!Number.isFinite(now) || !Number.isFinite(before)) return '';
  if (now === before) return '=';
  return now > before ? '▲' : '▼';
}

/** span is a time in words, {unit, n}: seconds, minutes or hours. */
export function span(ms) {
  if (!Number.isFinite(ms)) return null;
  if (ms < 99_500) return { unit: 's', n: Math.round(ms / 1000) };
  if (ms < 99.5 * 60_000) return { unit: 'min', n: Math.round(ms / 60_000) };
  return ms < 2 * DAY ? { unit: 'h', n: Math.round(ms / 360_000) / 10 } : { unit: 'd', n: Math.round(ms / 8_640_000) / 10 };
}
