// Why an alarm for an anomaly was raised: the figures of its reason, its score over time, what the device's other
// sensors had, and readings of the same hour on earlier days.
import { createLine } from '../chart/line.js';
import { css, series as look } from '../chart/palette.js';
import { get, query } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { around, bandAt, DAY, earlier, kindKey, partsOf, stayed } from '../model/anomaly.js';
import { align, shifted } from '../model/series.js';

const WORTH = 0.5;
const WITHIN = 12_000; // ms that an answer may take

function swatch(i) {
  const el = h('span', { class: 'swatch', 'aria-hidden': 'true' });
  el.style.background = look(i).color;
  return el;
}

/** createAnomaly explains alarm; end() gives back what it holds. */
export function createAnomaly(ctx, alarm) {
  const { t } = ctx;
  const a = alarm.anomaly;
  const device = `/api/v1/devices/${encodeURIComponent(alarm.device_id)}`;
  const charts = [];
  let over = false;
  const box = (name) => h('div', { class: `chart ${name}`, 'data-chart': name });
  const course = box('drawer-chart');
  const score = box('anomaly-score');
  const days = box('anomaly-days');
  const note = h('p', { class: 'panel-note', role: 'status', 'data-anomaly-note': true }, t('load.wait'));
  const daysNote = h('p', { class: 'legend', role: 'status' });
  const kind = h('dd', {}, t(kindKey(a)));
  const others = h('dl', { class: 'facts' });
  const quantity = (v) => ctx.fmt.value({ value: v, unit: alarm.unit ?? ctx.sensors.get(a.sensor).unit }, ctx.sensors.get(a.sensor).decimals);
  const write = {
    quantity,
    range: ([low, high]) => `${quantity(low)} – ${quantity(high)}`,
    sigma: (v) => `${v.toFixed(1)} σ`,
    ratio: (v) => `× ${v.toFixed(1)}`,
    share: (v) => `${Math.round(100 * v)} %`,
    count: (v) => ctx.fmt.count(v),
  };
  const rows = partsOf(a).map(([key, how, v]) => [t(`anomaly.${key}`), write[how](v)]);
  const el = h('div', { 'data-anomaly': a.kind },
    h('h3', {}, t('anomaly.parts')), h('dl', { class: 'facts' }, h('dt', {}, t('anomaly.kind')), kind, rows.flatMap(([k, v]) => [h('dt', {}, k), h('dd', { class: 'num' }, v)])),
    course, h('h3', {}, t('anomaly.score')), score, note,
    h('h3', {}, t('anomaly.others')), others,
    h('h3', {}, t('anomaly.days')), days, daysNote);

  function line(into, options, data, from, to) {
    if (over) return;
    const chart = createLine(into, { height: 150, ...options });
    charts.push(chart);
    chart.setRange(from, to);
    chart.setData(data);
  }

  async function history() {
    const [from, to] = around(alarm, ctx.plant.serverNow()).map(Math.round);
    const [found, series] = await Promise.all([
      get(`${device}/anomalies${query({ from, to, points: 400 })}`, { within: WITHIN }),
      get(`${device}/series${query({ from, to, points: 400 })}`, { within: WITHIN }),
    ]);
    if (over) return;
    const mine = found.sensors.find((s) => s.parameter === a.sensor);
    const values = series.values[a.sensor];
    if (values) line(course, { lines: [{ label: ctx.sensorName(a.sensor) }], height: 180, marks: () => [{ time: a.since, color: css(`--${alarm.severity}-text`) }] }, { time: series.time, lines: [values.mean], expected: mine ? [bandAt(mine, series.time)] : [] }, from, to);
    if (mine) line(score, { lines: [{ label: t('anomaly.score') }], height: 84, range: [0, 1], limits: () => [{ value: WORTH, color: css('--muted') }] }, { time: mine.time, lines: [mine.state.map((v, i) => Math.max(v ?? 0, mine.score[i] ?? 0))] }, from, to);
    const became = mine ? stayed(a, mine.anomalies) : '';
    if (became) setText(kind, `${t(kindKey(a))} → ${t(kindKey({ kind: became }))}`);
    setText(note, [t('anomaly.score.note'), found.learned_from ? t('anomaly.learned', { time: ctx.fmt.moment(found.learned_from, ctx.plant.serverNow(), ctx.lang()) }) : ''].filter(Boolean).join(' '));
    others.replaceChildren(...ctx.sensors.order(Object.keys(series.values)).filter((n) => n !== a.sensor).flatMap((n) => {
      const list = series.values[n].mean.filter((v) => v !== null);
      const high = found.sensors.find((s) => s.parameter === n);
      const worst = high ? Math.max(0, ...high.state, ...high.score) : 0;
      return list.length === 0 ? [] : [h('dt', {}, ctx.sensorName(n)), h('dd', { class: 'num' }, `${ctx.quantity(n, list.at(-1))}${worst >= WORTH ? ` · ${t('anomaly.score')} ${worst.toFixed(2)}` : ''}`)];
    }));
  }

  /** comparable draws the hour around the anomaly with that of earlier days below it. */
  async function comparable() {
    const hours = [[a.since - 1_800_000, a.since + 1_800_000], ...earlier(a.since)];
    const answers = await Promise.all(hours.map(([from, to]) => get(`${device}/series${query({ parameters: a.sensor, from: Math.round(from), to: Math.round(to), points: 120 })}`, { within: WITHIN }).catch(() => null)));
    const columns = answers.map((s, i) => ({ i, s })).filter(({ s }) => s?.values[a.sensor]?.mean.some((v) => v !== null)).map(({ i, s }) => ({ i, c: shifted({ time: s.time, values: s.values[a.sensor].mean, single: Infinity }, hours[0][0] - hours[i][0]) }));
    if (over) return;
    if (columns.length === 0) {
      setText(daysNote, t('drawer.explain.none'));
      return;
    }
    const label = (i) => ctx.fmt.moment(a.since - i * DAY, ctx.plant.serverNow(), ctx.lang());
    line(days, { lines: columns.map(({ i }) => ({ label: label(i), look: i, thin: i > 0 })) }, { ...align(columns.map(({ c }) => c)), expected: [] }, ...hours[0]);
    daysNote.replaceChildren(...columns.map(({ i }) => h('span', { class: 'legend-item num' }, swatch(i), label(i))));
  }

  history().catch((e) => !over && setText(note, t('anomaly.failed', { why: e.message })));
  comparable();
  return {
    el,
    end() {
      over = true;
      for (const c of charts) c.destroy();
    },
  };
}
