// The means of buildings over time: a line for each.
import { series } from '../chart/palette.js';
import { createLine } from '../chart/line.js';
import { get, query } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { align, RANGES } from '../model/series.js';
import { panel } from './badge.js';
import { offerSensors } from './offer.js';

/** reloadEvery is how often a range is worth asking for again, in ms. */
const reloadEvery = (span) => Math.min(Math.max(span / 300, 2000), 60_000);

/** MEAN_MS is the least time of a mean: one second has only the devices that happened to report in it. */
const MEAN_MS = 10_000;

/** createMeans draws a line for each building. */
export function createMeans(ctx, scope) {
  const { t } = ctx;
  let parameter = 'temperature';
  let range = '5m';
  let chart = null;
  let drawn = '';
  const box = h('div', { class: 'chart' });
  const key = h('span', { class: 'legend' });
  const note = h('span', { class: 'panel-note' });
  const pick = h('select', { class: 'control is-small', 'aria-label': t('sensor'), onchange: () => ((parameter = pick.value), tryLoad()) });
  offerSensors(ctx, scope, pick, ['number']);
  const ranges = h('span', { class: 'group', role: 'group', 'aria-label': t('range') }, Object.keys(RANGES).map((r) =>
    h('button', { class: 'button is-small', 'aria-pressed': String(r === range), onclick: (e) => {
      range = r;
      for (const b of ranges.children) b.setAttribute('aria-pressed', String(b === e.target));
      tryLoad();
    } }, r)));
  const p = panel('means', t('means.title'), box);
  p.head.append(key, h('span', { class: 'panel-space' }), note, pick, ranges);

  async function load() {
    const names = ctx.view.building ? [ctx.view.building] : ctx.fleet.distinct('building').slice(0, 8);
    if (names.length === 0) return;
    const to = Math.round(ctx.plant.serverNow());
    const from = to - RANGES[range];
    const whole = (at) => Math.floor(at / MEAN_MS) * MEAN_MS;
    const points = Math.min(400, RANGES[range] / MEAN_MS);
    const which = query({ parameters: parameter, from: whole(from), to: whole(to) - 1, points });
    const answers = await Promise.all(names.map((n) => get(`/api/v1/buildings/${encodeURIComponent(n)}/series${which}`)));
    if (scope.isOver()) return;
    if (drawn !== names.join()) {
      drawn = names.join();
      chart?.destroy();
      chart = createLine(box, { lines: names.map((label) => ({ label })) });
      key.replaceChildren(...names.map((n, i) => h('span', { class: 'legend-item' }, swatch(i), n)));
    }
    chart.setData(align(answers.map((a) => ({ time: a.time, values: a.values[parameter]?.mean ?? [] }))));
    chart.setRange(from, to);
    const begins = Math.min(...answers.map((a) => a.begins || Infinity));
    setText(note, begins > from + 15_000 && Number.isFinite(begins) ? t('series.begins', { time: ctx.fmt.moment(begins, to, ctx.lang()) }) : '');
  }
  let loaded = 0;
  const why = { history_off: 'history.off', history_unavailable: 'history.unreachable' };
  const tryLoad = () => {
    loaded = Date.now();
    return load().catch((e) => setText(note, t(why[e.code] ?? 'series.failed')));
  };
  scope.every(2000, async () => {
    if (Date.now() - loaded >= reloadEvery(RANGES[range]) - 500) await tryLoad();
  });
  scope.draw(() => {
    if (drawn === '') tryLoad(); // once the buildings are known
  }, ['fleet']);
  scope.onEnd(() => chart?.destroy());
  return p.el;
}

function swatch(i) {
  const el = h('span', { class: 'swatch', 'aria-hidden': 'true' });
  el.style.background = series(i).color;
  return el;
}
