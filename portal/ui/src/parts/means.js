// The means of buildings over time: a line for each, and around it the values without a tenth at either end.
import { series } from '../chart/palette.js';
import { get, query } from '../core/api.js';
import { h, setAttr, setText } from '../core/dom.js';
import { countOf, offered } from '../model/means.js';
import { align, RANGES } from '../model/series.js';
import { panel } from './badge.js';
import { inAddress } from './choice.js';
import { offerSensors } from './offer.js';

/** STEP is how often the portal takes the newest values of all devices, in ms. */
const STEP = 5000;
const LINES = 8;
const PROBE = 60_000; // ms between two looks at how far the means go back

/** reloadEvery is how often a range is worth asking for again, in ms. */
const reloadEvery = (span) => Math.min(Math.max(span / 300, STEP), 60_000);

/** createMeans draws a line for each building. */
export function createMeans(ctx, scope) {
  const { t } = ctx;
  let parameter = 'temperature';
  let range = RANGES[ctx.route().params.range] ? ctx.route().params.range : '5m';
  let chart = null;
  let drawn = '';
  const box = h('div', { class: 'chart' });
  const key = h('span', { class: 'legend' });
  const note = h('span', { class: 'panel-note means-note' });
  const pick = h('select', { class: 'control is-small', 'aria-label': t('sensor') });
  offerSensors(ctx, scope, pick, ['number']);
  const ranges = h('span', { class: 'group', role: 'group', 'aria-label': t('range') }, Object.keys(RANGES).map((r) =>
    h('button', { class: 'button is-small', 'data-range': r, 'aria-pressed': String(r === range), onclick: () => choose(r) }, r)));
  const p = panel('means', t('means.title'), box);
  p.head.append(key, h('span', { class: 'panel-space' }), note, pick, ranges);

  const names = () => (ctx.view.building ? [ctx.view.building] : ctx.fleet.distinct('building').slice(0, LINES));
  const ask = (name, which) => get(`/api/v1/buildings/${encodeURIComponent(name)}/series${query({ parameters: parameter, ...which })}`);

  function choose(r) {
    range = r;
    ctx.setParams({ range: r === '5m' ? '' : r });
    for (const b of ranges.children) b.setAttribute('aria-pressed', String(b.dataset.range === r));
    tryLoad();
  }

  async function load() {
    const [shown, sensor] = [names(), parameter];
    if (shown.length === 0) return;
    const to = Math.round(ctx.plant.asOf() || ctx.plant.serverNow());
    const from = to - RANGES[range];
    const whole = (at) => Math.floor(at / STEP) * STEP;
    const points = Math.min(400, RANGES[range] / STEP);
    const [{ createLine }, ...answers] = await Promise.all([import('../chart/line.js'), ...shown.map((n) => ask(n, { from: whole(from), to: whole(to) - 1, points }))]);
    if (scope.isOver() || sensor !== parameter) return;
    draw(createLine, shown, answers.map((a) => ({ time: a.time, ...a.values[sensor] })));
    chart.setRange(from, to);
    const begins = Math.min(...answers.map((a) => a.begins || Infinity));
    const late = begins > from + 15_000 && Number.isFinite(begins);
    const past = answers.some((a) => a.time.length > 0 && !a.values[sensor]?.p10);
    setText(note, [
      late ? t('series.begins', { time: ctx.fmt.moment(begins, to, ctx.lang()) }) : '',
      t(past ? 'means.past' : 'means.band', { age: ctx.fmt.age(answers[0].step_ms, t) }),
    ].filter(Boolean).join(' · '));
  }

  function draw(createLine, shown, columns) {
    if (drawn !== shown.join()) {
      drawn = shown.join();
      chart?.destroy();
      chart = createLine(box, { lines: shown.map((label) => ({ label })), band: true });
    }
    key.replaceChildren(...shown.map((name, i) => {
      const n = countOf(columns[i]);
      return h('span', { class: 'legend-item' }, swatch(i), name, n === null ? null : h('span', { class: 'sub num' }, ` n ${ctx.fmt.count(n)}`));
    }));
    const data = align(columns.map((c) => ({ time: c.time, values: c.mean ?? [], min: c.p10, max: c.p90 })));
    chart.setData(data);
    ctx.debug.means = { names: shown, columns, ...data };
  }

  let loaded = 0;
  const why = { history_off: 'history.off', history_unavailable: 'history.unreachable' };
  const tryLoad = () => {
    loaded = Date.now();
    return load().catch((e) => setText(note, t(why[e.code] ?? 'series.failed')));
  };
  inAddress(ctx, pick, 'mean', 'temperature', (name) => {
    parameter = name;
    tryLoad();
  });
  scope.every(1000, async () => {
    if (Date.now() - loaded >= reloadEvery(RANGES[range]) - 500) await tryLoad();
  });

  /** probe finds which ranges there is something for, and says of the others why not. */
  async function probe() {
    const name = names()[0];
    if (name === undefined) return;
    const to = Math.round(ctx.plant.serverNow());
    const { begins, code } = await ask(name, { from: to - RANGES['30d'], to, points: 2 }).catch((e) => ({ begins: 0, code: e.code ?? 'failed' }));
    if (scope.isOver()) return;
    const usable = offered(RANGES, to, begins, code);
    const because = code ? t(why[code] ?? 'series.failed') : begins ? t('series.begins', { time: ctx.fmt.moment(begins, to, ctx.lang()) }) : t('series.nothing');
    for (const b of ranges.children) {
      b.disabled = !usable.includes(b.dataset.range);
      setAttr(b, 'title', b.disabled ? because : null);
    }
    if (!usable.includes(range)) choose(usable.at(-1));
  }
  scope.every(PROBE, probe);
  scope.draw(() => {
    if (drawn !== '' || names().length === 0) return;
    tryLoad(); // once the buildings are known
    probe();
  }, ['fleet']);
  scope.onEnd(() => chart?.destroy());
  return p.el;
}

function swatch(i) {
  const el = h('span', { class: 'swatch', 'aria-hidden': 'true' });
  el.style.background = series(i).color;
  return el;
}
