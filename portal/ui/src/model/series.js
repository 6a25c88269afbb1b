// The course of a device's sensors or of a building's means: the historian's data, then live readings.
import { get, query } from '../core/api.js';
import { isCharted } from './sensors.js';

const DAY = 86_400_000;
export const RANGES = { '1m': 60_000, '5m': 300_000, '1h': 3_600_000, '1d': DAY, '7d': 7 * DAY, '30d': 30 * DAY };
const POINTS = 600;

/** A pause longer than this many usual intervals is a gap. */
const GAP = 3;

/** A building's means have no live readings: they are asked for again after a step, but not more often. */
const FRESH = 5000;

/**
 * createCourse keeps one device's values over time, or one building's with building: true. load() asks the portal for
 * those of the named sensors, of all without names; add(frame) adds a live one. Times are the plant's.
 */
export function createCourse(id, { building = false } = {}) {
  let live = []; // {t, v: {sensor: number}}, since the page follows the device
  let past = null; // the portal's answer
  let asked = 0;
  let appended = 0; // since that answer
  let due = false;
  let failure = null;
  let loaded = 0;
  /** end is up to when the portal's answer has readings. */
  const end = () => (past ? Math.min((past.time.at(-1) ?? 0) + past.step_ms / 2, past.to) : 0);
  return {
    id,
    /** begins is when the oldest reading was taken that is kept: 0: none is, null: not known. */
    begins: () => past?.begins ?? null,
    /** failure is why there is no answer to the last question. */
    failure: () => failure,
    /** isHeld reports whether there is an answer to show. */
    isHeld: () => past !== null,
    /** isDue reports whether it is worth asking again: live readings are added without. */
    isDue: () =>
      due || failure !== null || appended > POINTS || past?.begins === 0 || (building && Date.now() - loaded > Math.max(FRESH, past?.step_ms ?? 0)),
    /** step is the width of the answer's steps in ms, 0: single readings, null: there is none. */
    step: () => past?.step_ms ?? null,
    /** until is the end of the range that the answer is of. */
    until: () => past?.to ?? 0,
    async load(from, to, names = [], points = POINTS) {
      const n = ++asked;
      try {
        const answer = await get(`/api/v1/${building ? 'buildings' : 'devices'}/${encodeURIComponent(id)}/series${query({ parameters: names.join(), from, to, points })}`);
        if (n !== asked) return; // another range is wanted by now
        past = { ...answer, from, to, gaps: gapsOf(answer) };
        [appended, due, failure, loaded] = [0, false, null, Date.now()];
      } catch (e) {
        if (n !== asked) return;
        failure = e;
        if (past && from < past.from) past = null; // it is of another range
        throw e;
      }
    },
    add({ time, reading }) {
      const last = live.at(-1);
      if (last && time <= last.t) return;
      const v = {};
      for (const [name, s] of Object.entries(reading.sensors)) if (isCharted(s)) v[name] = Number(s.value);
      live.push({ t: time, v });
      appended++;
      if (live.length > 4 * POINTS) live.splice(0, POINTS);
    },
    /** missed says that readings came late: only the historian has them in their place. */
    missed: () => (due = true),
    /** sensors returns the names of the sensors that the device has sent. */
    sensors() {
      const names = new Set(Object.keys(past?.values ?? {}).filter((n) => past.values[n].mean.some((v) => v !== null)));
      for (const p of live) for (const n of Object.keys(p.v)) names.add(n);
      return [...names];
    },
    /**
     * columns returns {time, values, min, max, single} of a sensor between two times. What is newer
     * than single is a reading, what is older the mean of a step. expected has {low, high} if the answer has them.
     */
    columns(sensor, from, to) {
      const edge = end();
      const out = { time: [], values: [], min: [], max: [], single: past?.step_ms ? edge : 0 };
      const push = (t, v, lo, hi) => {
        out.time.push(t);
        out.values.push(v);
        out.min.push(lo);
        out.max.push(hi);
      };
      const held = past?.values[sensor];
      const newest = past ? past.time.length - 1 : -1;
      const expected = held?.expected && { low: [], high: [] };
      past?.time.forEach((mid, i) => {
        const t = Math.min(mid, past.to); // the newest step is not over
        const v = held?.mean[i] ?? null;
        if (t < from || t > to || (v === null && !past.gaps.has(i))) return;
        const [low, high] = i === newest && v !== null && past.step_ms > 0 ? widened(sensor, held.min[i], held.max[i]) : [held?.min?.[i] ?? v, held?.max?.[i] ?? v];
        push(t, v, low, high);
        expected?.low.push(held.expected.low[i]);
        expected?.high.push(held.expected.high[i]);
      });
      const recent = live.filter((p) => p.t > edge && p.t >= from && p.t <= to);
      const step = past?.step_ms ?? 0;
      const usual = Math.max(step, interval(step ? recent : [...(past?.time.slice(-20) ?? []).map((t) => ({ t })), ...recent]) || 1000);
      let before = past?.time.length > 0 ? edge : 0;
      for (const p of recent) {
        if (before && p.t - before > GAP * usual + 1000) push(before + 1, null, null, null);
        const v = p.v[sensor];
        if (v !== undefined) push(p.t, v, v, v);
        before = p.t;
      }
      return expected ? { ...out, expected } : out;
    },
  };

  /** widened adds to the newest step what came live in its time: the historian may not have had all of it. */
  function widened(sensor, low, high) {
    const edge = end();
    const begin = past.time.at(-1) - past.step_ms / 2;
    for (let i = live.length - 1; i >= 0 && live[i].t >= begin; i--) {
      const v = live[i].v[sensor];
      if (v === undefined || live[i].t > edge) continue;
      low = Math.min(low, v);
      high = Math.max(high, v);
    }
    return [low, high];
  }
}

/** gapsOf returns which rows of an answer are gaps: those without any value. */
function gapsOf({ time, values }) {
  const columns = Object.values(values);
  return new Set([...time.keys()].filter((i) => columns.every((c) => c.mean[i] === null)));
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
  const spread = (c, values) => {
    const line = new Array(time.length).fill(undefined); // undefined: another line's time; null: a gap
    c.time.forEach((t, i) => (line[at.get(t)] = values[i]));
    return line;
  };
  const all = (key) => columns.map((c) => spread(c, c[key] ?? c.values));
  const expected = columns.map((c) => (c.expected ? { low: spread(c, c.expected.low), high: spread(c, c.expected.high) } : null));
  return { time, lines: all('values'), min: all('min'), max: all('max'), singles: columns.map((c) => c.single ?? Infinity), expected };
}

/** shifted returns columns so many ms later, to lay them over another day. */
export const shifted = (c, by) => ({ ...c, time: c.time.map((t) => t + by), single: c.single + by });

/** valueAt returns the value at an index or the last one before it, unless there is a gap. */
export function valueAt(line, i) {
  for (let k = i; k >= 0; k--) if (line[k] !== undefined) return line[k];
  return null;
}

/** nearest returns the index of the time nearest to one, -1 without any. */
export function nearest(time, at) {
  let [low, high] = [0, time.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (time[middle] <= at) low = middle;
    else high = middle;
  }
  return high >= 0 && Math.abs(time[high] - at) < Math.abs(time[low] - at) ? high : time.length > 0 ? low : -1;
}
