// The time that a chart shows, [from, to] in ms, and how it moves. Pure functions.

/** A window is never shorter, nor longer than what the portal answers for. */
const LEAST = 2000;
const MOST = 400 * 86_400_000;

/** within moves a window back to before now. */
function within([from, to], now) {
  const over = Math.max(to - now, 0);
  return [Math.round(Math.max(from - over, 0)), Math.round(to - over)];
}

/** zoom makes a window so many times longer; the time at keeps its place. */
export function zoom([from, to], at, factor, now) {
  const span = Math.min(Math.max((to - from) * factor, LEAST), MOST);
  const share = Math.min(Math.max((at - from) / (to - from), 0), 1);
  return within([at - share * span, at + (1 - share) * span], now);
}

/** pan moves a window by so many ms. */
export const pan = ([from, to], by, now) => within([from + by, to + by], now);

/** resize moves one edge of a window: 'from' or 'to'. */
export function resize([from, to], edge, at, now) {
  if (edge === 'from') return [Math.round(Math.max(Math.min(at, to - LEAST), to - MOST, 0)), to];
  return [from, Math.round(Math.min(Math.max(at, from + LEAST), from + MOST, now))];
}

/** whole is what the strip below the charts shows: the chosen range if the window is in it, else as much around the window. */
export function whole([from, to], span, now) {
  if (from >= now - span) return [now - span, now];
  const wide = Math.max(span, 2 * (to - from));
  const middle = (from + to) / 2;
  return within([middle - wide / 2, middle + wide / 2], now);
}

/**
 * filled tells of each of the ascending spans whether it shows more than the one before: whether
 * something older than that is kept. begins is when the oldest reading was taken, 0: there is none.
 */
export const filled = (spans, begins, now) => spans.map((_, i) => i === 0 || (begins > 0 && begins < now - spans[i - 1]));
