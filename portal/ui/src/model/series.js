// Time series of a device's sensors: the portal's data, then live readings.
import { get, query } from '../core/api.js';
import { isCharted } from './sensors.js';

export const RANGES = { '1m': 60_000, '5m': 300_000, '1h': 3_600_000, '1d': 86_400_000, '7d': 604_800_000, '30d': 2_592_000_000 };

/** reloadEvery is how often a range is worth asking for again, in ms: live readings are added meanwhile. */
export const reloadEvery = (span) => Math.min(Math.max(span / 300, 2000), 60_000);

/** begins says where data begins, '' if that is before a range. */
export function begins(ctx, at, from, to) {
  return Number.isFinite(at) && at > from + 15_000 ? ctx.t('series.begins', { time: ctx.fmt.clock(at, to) }) : '';
}

/** whyNot says why there is no series. */
export function whyNot(t, error) {
  return error.code === 'history_unavailable' || error.code === 'no_history' ? t(`series.${error.code}`) : t('load.failed', { why: error.message });
}
const POINTS = 600;
const LIVE = 4 * POINTS;

/** A pause longer than this many steps is a gap. */
const GAP_STEPS = 3;

/**
 * createCourse keeps one device's values over time. load() asks the portal for those of the
 * named sensors, of all without names; add(frame) adds a live one. Times are the plant's.
 */
export function createCourse(id) {
  let live = []; // {t, v: {sensor: number}} newer than the portal's answer
  let past = null;
  let step = 1000;
  return {
    id,
    begins: () => past?.begins ?? 0,
    /** single reports whether the past has single readings, not steps. */
    single: () => past?.step_ms === 0,
    async load(from, to, names = []) {
      const answer = await get(`/api/v1/devices/${encodeURIComponent(id)}/series${query({ parameters: names.join(), from, to, points: POINTS })}`);
      past = answer;
      step = answer.step_ms;
      const newest = past.time.at(-1) ?? 0;
      live = live.filter((p) => p.t > newest + step);
    },
    add({ time, reading }) {
      const last = live.at(-1);
      if (last && time <= last.t) return;
      const v = {};
      for (const [name, s] of Object.entries(reading.sensors)) if (isCharted(s)) v[name] = Number(s.value);
      live.push({ t: time, v });
      if (live.length > LIVE) live.splice(0, POINTS);
    },
    /** sensors returns the names of the sensors that the device has sent. */
    sensors() {
      const names = new Set(Object.keys(past?.values ?? {}).filter((n) => past.values[n].mean.some((v) => v !== null)));
      for (const p of live) for (const n of Object.keys(p.v)) names.add(n);
      return [...names];
    },
    /** columns returns {time, values, min, max} of a sensor between two times. */
    columns(sensor, from, to) {
      const out = { time: [], values: [], min: [], max: [] };
      const push = (t, v, lo, hi) => {
        out.time.push(t);
        out.values.push(v);
        out.min.push(lo);
        out.max.push(hi);
      };
      const newest = past?.time.at(-1) ?? 0;
      const held = past?.values[sensor];
      past?.time.forEach((t, i) => t >= from && t <= to && push(t, held?.mean[i] ?? null, held?.min?.[i] ?? null, held?.max?.[i] ?? null));
      const fresh = live.filter((p) => p.t > newest && p.t >= from && p.t <= to);
      const usual = interval(fresh) || step;
      let before = newest || 0;
      for (const p of fresh) {
        if (before && p.t - before > GAP_STEPS * Math.max(usual, step) + 1000) push(before + 1, null, null, null);
        const v = p.v[sensor] ?? null;
        push(p.t, v, v, v);
        before = p.t;
      }
      return out;
    },
    newest: () => live.at(-1)?.t ?? past?.time.at(-1) ?? 0,
  };
}

/** interval is the usual distance of readings: the median. */
function interval(points) {
  if (points.length < 3) return 0;
  const gaps = points.slice(1).map((p, i) => p.t - points[i].t).sort((a, b) => a - b);
  return gaps[gaps.length >> 1];
}

/** align puts columns with different times under one time, for lines of one chart. */
export function align(columns) {
  const time = [...new Set(columns.flatMap((c) => c.time))].sort((a, b) => a - b);
  const at = new Map(time.map((t, i) => [t, i]));
  const lines = columns.map((c) => {
    const line = new Array(time.length).fill(undefined); // undefined: another line's time; null: a gap
    c.time.forEach((t, i) => (line[at.get(t)] = c.values[i]));
    return line;
  });
  return { time, lines };
}
