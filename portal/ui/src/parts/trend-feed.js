// What the trends page knows of its lines: their course, that of another day, the limits that apply and the alarms.
import { css } from '../chart/palette.js';
import { get, query } from '../core/api.js';
import { buildingOf } from '../model/lines.js';
import { marksOf, together } from '../model/marks.js';
import { limitsOf, rulesOf } from '../model/rules.js';
import { align, createCourse, shifted } from '../model/series.js';

const ALARMS = 200; // of a device that are marked
const AHEAD = 30_000; // ms of another day that are asked for in advance, while time goes on
const STRIP = 200; // points of the strip

/** createTrendFeed keeps the lines that set(keys, shift) names; shift is how long ago the other day was, 0: there is none. */
export function createTrendFeed(ctx, scope) {
  const lines = new Map(); // key → line
  const rules = new Map(); // device → its rules
  const journal = new Map(); // device → its alarms in the range
  let order = [];
  let shift = 0;
  let turn = 0;
  let unknown = { rules: false, alarms: false };

  function lineOf(key) {
    const building = buildingOf(key);
    const make = () => createCourse(building || key, { building: building !== '' });
    const line = { key, building, course: make(), before: make(), strip: make(), end: () => {} };
    if (building) return line;
    line.end = scope.subscribe(`device/${key}`, ({ kind, data }) => {
      const d = kind === 'snapshot' ? data[0] : data;
      if (d?.backfill) line.course.missed();
      else if (d?.reading) line.course.add(d);
    });
    return line;
  }

  /** guide asks for the rules and the alarms of a device. */
  async function guide(id, from, to) {
    const [r, j] = await Promise.allSettled([rulesOf(id), get(`/api/v1/journal${query({ device_id: id, from, to, limit: ALARMS })}`)]);
    if (r.status === 'fulfilled') rules.set(id, r.value.rules);
    if (j.status === 'fulfilled') journal.set(id, j.value.items);
    return { rules: r.status === 'rejected', alarms: j.status === 'rejected' };
  }

  const devices = () => order.filter((l) => !l.building);

  return {
    lines: () => order,
    devices,
    courses: () => order.map((l) => l.course),
    shift: () => shift,
    /** unknown tells what could not be loaded: {rules, alarms}. */
    unknown: () => unknown,
    set(keys, ago) {
      for (const [key, line] of lines) {
        if (keys.includes(key)) continue;
        line.end();
        lines.delete(key);
      }
      for (const key of keys) if (!lines.has(key)) lines.set(key, lineOf(key));
      order = keys.map((key) => lines.get(key));
      shift = ago;
    },
    /** load asks for everything between two times; isLive: the range goes on. */
    async load([from, to], sensors, isLive) {
      const mine = ++turn;
      const courses = order.map((l) => l.course.load(from, to, sensors));
      const before = shift ? order.map((l) => l.before.load(from - shift, to - shift + (isLive ? AHEAD : 0), sensors)) : [];
      const guides = Promise.all(devices().map((l) => guide(l.key, from, to))).then((all) => {
        if (mine === turn) unknown = { rules: all.some((u) => u.rules), alarms: all.some((u) => u.alarms) };
      });
      await Promise.allSettled([...courses, ...before, guides]);
    },
    /** loadStrip asks for the lines of the strip. */
    loadStrip: ([from, to], sensor) => Promise.allSettled(order.map((l) => l.strip.load(from, to, [sensor], STRIP))),
    strip: (sensor, [from, to]) => align(order.map((l) => l.strip.columns(sensor, from, to))),
    /** isDue reports whether it is worth asking again. */
    isDue: (to) => order.some((l) => l.course.isDue() || (shift > 0 && l.before.until() < to - shift)),
    /** columns returns the lines of a sensor and then, if there is another day, the same of that day. */
    columns(sensor, from, to) {
      const now = order.map((l) => l.course.columns(sensor, from, to));
      return align(shift ? [...now, ...order.map((l) => shifted(l.before.columns(sensor, from - shift, to - shift), shift))] : now);
    },
    /** limits returns the limits of the rules that apply to the devices, each once. */
    limits(sensor) {
      const seen = new Map();
      for (const l of devices()) {
        for (const limit of limitsOf(rules.get(l.key) ?? [], sensor)) seen.set(`${limit.operator} ${limit.value} ${limit.severity}`, limit);
      }
      return [...seen.values()].map((l) => ({ ...l, color: css(`--${l.severity}-text`), label: `${ctx.typeText(l.rule)} ${ctx.quantity(sensor, l.value)}` }));
    },
    /** news changes when an alarm of the devices does. */
    news: () => devices().flatMap((l) => ctx.alarms.ofDevice(l.key)).reduce((n, a) => n + 1 + (a.revision ?? 0), 0),
    /** marks returns when alarms of the devices were raised and cleared. */
    marks(sensor, from, to) {
      const all = together(...devices().map((l) => [...(journal.get(l.key) ?? []), ...ctx.alarms.ofDevice(l.key)]));
      return marksOf(all, sensor, from, to).map((m) => ({ ...m, color: css(`--${m.severity}-text`) }));
    },
  };
}
