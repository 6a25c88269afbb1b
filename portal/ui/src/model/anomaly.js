// What was usual for a device, by the portal's answer about anomalies.

const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** HELD is how long, in ms, the newest usual range holds for readings after it. */
export const HELD = 10 * 60_000;

/**
 * bandAt returns {low, high} of the usual range of a sensor at times, null where it is not known. A time takes the newest
 * range before it, up to three steps of the answer: the usual ones, or longer ones if those around it are; what is newer
 * than the answer takes its last one for HELD.
 */
export function bandAt(sensor, time) {
  const low = new Array(time.length).fill(null);
  const high = [...low];
  const steps = sensor.time.slice(1).map((t, i) => t - sensor.time[i]);
  const usual = steps.toSorted((a, b) => a - b)[steps.length >> 1] ?? 60_000;
  let k = 0;
  time.forEach((t, i) => {
    while (k + 1 < sensor.time.length && sensor.time[k + 1] <= t) k++;
    const at = sensor.time[k];
    const reach = k === steps.length && t > at ? HELD : 3 * Math.max(usual, Math.min(steps[k - 1] ?? steps[1] ?? 0, steps[k] ?? 0));
    if (at === undefined || Math.abs(t - at) > reach) return;
    low[i] = sensor.low[k];
    high[i] = sensor.high[k];
  });
  return { low, high };
}

/** around is the time that an alarm for an anomaly is explained by: [from, to], an hour before and after at least. */
export function around(a, now) {
  const since = a.anomaly?.since || a.raised_at;
  const end = a.cleared_at || Math.min(now, since + DAY);
  return [since - HOUR, Math.max(Math.min(end + HOUR / 2, now), since + 60_000)];
}

/** earlier are the same hours of the days before: [[from, to]…], the newest first. */
export const earlier = (at, days = 3) => Array.from({ length: days }, (_, i) => [at - HOUR / 2 - (i + 1) * DAY, at + HOUR / 2 - (i + 1) * DAY]);

/** kindKey is the text's key of an anomaly's kind. */
export const kindKey = (a) => `anomaly.kind.${a.kind}${a.kind === 'peers' && a.group === 'model' ? '.model' : ''}`;

/** stayed is the kind that a spike became by lasting, by the anomalies that the history shows of its sensor; else empty. */
export function stayed(a, periods) {
  const last = periods.findLast((p) => p.since <= a.since + 60_000 && (p.until === 0 || p.until > a.since));
  return a.kind === 'spike' && last && last.kind !== 'spike' ? last.kind : '';
}

/** partsOf are the figures of an anomaly's reason: [[key, kind, value]…]; kind is how the value is written. */
export function partsOf(a) {
  return [
    ['value', 'quantity', a.value],
    ['expected', 'quantity', a.expected],
    ['band', 'range', a.low < a.high ? [a.low, a.high] : 0],
    ['sigma', 'sigma', a.sigma],
    ['ratio', 'ratio', a.ratio],
    ['hour', 'quantity', a.per_hour],
    ['missing', 'share', a.missing],
    ['sensors', 'count', a.sensors],
  ].filter(([key, , v]) => v || (v === 0 && (key === 'value' || key === 'expected') && a.kind !== 'dropout'));
}
