// Overview: whether anything is wrong and where, and whether the data is live.
import { css, series } from '../chart/palette.js';
import { createLine } from '../chart/line.js';
import { createBars, createRound } from '../chart/round.js';
import { get, query } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { SEVERITIES } from '../model/alarms.js';
import { PRIORITIES } from '../model/fleet.js';
import { align, RANGES } from '../model/series.js';
import { createAttention, createSentence } from '../parts/attention.js';
import { field, panel } from '../parts/badge.js';
import { inAddress } from '../parts/choice.js';
import { createFleetPanel } from '../parts/fleetpanel.js';
import { offerSensors } from '../parts/offer.js';
import { gatewayLine } from './gateways.js';
import { createSparkline } from '../parts/spark.js';

export function createOverview(ctx, scope) {
  return h(
    'div',
    { class: 'overview' },
    createSentence(ctx, scope),
    figures(ctx, scope),
    createFleetPanel(ctx, scope),
    createAttention(ctx, scope),
    means(ctx, scope),
    states(ctx, scope),
    models(ctx, scope),
    gateways(ctx, scope),
    levels(ctx, scope),
  );
}

function figures(ctx, scope) {
  const { t } = ctx;
  const names = ['devices', 'states', 'rate', 'latency', 'lag', 'clients'];
  const f = Object.fromEntries(names.map((n) => [n, field(t(`figure.${n}`))]));
  const spark = createSparkline();
  f.rate.el.append(spark.el);
  const el = h('section', { class: 'panel figures', 'aria-label': t('figures') }, names.map((n) => f[n].el));
  scope.draw(() => {
    const c = ctx.fleet.counts(ctx.view.building);
    f.devices.set(ctx.fmt.count(c.total));
    f.states.set(ctx.fmt.count(c.online), t('figure.states.note', { offline: ctx.fmt.count(c.offline + c.stale + c.unknown), fault: ctx.fmt.count(c.fault) }));
  }, ['fleet', 'view']);
  scope.draw(() => {
    const s = ctx.plant.state.stats;
    if (!s) return;
    f.rate.set(ctx.fmt.rate(s.readings.per_second));
    spark.draw(ctx.plant.rates);
    const l = s.latency_ms.to_socket ?? s.latency_ms.to_portal;
    f.latency.set(l ? ctx.fmt.millis(l.mean) : '–', l ? t('figure.p99', { n: ctx.fmt.millis(l.p99) }) : t('figure.none'));
    const lag = s.kafka?.lag;
    f.lag.set(lag === undefined || lag === null ? '–' : ctx.fmt.count(lag), t('figure.lag.note'));
    f.clients.set(ctx.fmt.count(s.clients.open), t('figure.clients.note', { n: ctx.fmt.rate(s.pushed.per_second) }));
  }, ['stats']);
  return el;
}

/** reloadEvery is how often a range is worth asking for again, in ms. */
const reloadEvery = (span) => Math.min(Math.max(span / 300, 2000), 60_000);

/** MEAN_MS is the least time of a mean: one second has only the devices that happened to report in it. */
const MEAN_MS = 10_000;

/** means draws a line for each building. */
function means(ctx, scope) {
  const { t } = ctx;
  let parameter = 'temperature';
  let range = RANGES[ctx.route().params.range] ? ctx.route().params.range : '5m';
  let chart = null;
  let drawn = '';
  const box = h('div', { class: 'chart' });
  const key = h('span', { class: 'legend' });
  const note = h('span', { class: 'panel-note' });
  const pick = h('select', { class: 'control is-small', 'aria-label': t('sensor') });
  offerSensors(ctx, scope, pick, ['number']);
  const ranges = h('span', { class: 'group', role: 'group', 'aria-label': t('range') }, Object.keys(RANGES).map((r) =>
    h('button', { class: 'button is-small', 'aria-pressed': String(r === range), onclick: (e) => {
      range = r;
      ctx.setParams({ range: r === '5m' ? '' : r });
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
  inAddress(ctx, pick, 'mean', 'temperature', (name) => {
    parameter = name;
    tryLoad();
  });
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

function states(ctx, scope) {
  const { t } = ctx;
  const canvas = h('canvas', { role: 'img' });
  const middle = h('div', { class: 'round-middle num' });
  const list = h('ul', { class: 'round-legend' });
  const p = panel('states', t('states.title'), h('div', { class: 'round' }, h('div', { class: 'round-box' }, canvas, middle), list));
  const chart = createRound(canvas, 'doughnut');
  scope.draw(() => {
    const c = ctx.fleet.counts(ctx.view.building);
    const by = ctx.fleet.byPriority(ctx.view.building);
    const parts = [
      { label: t('state.online'), value: c.online - c.fault, color: css('--cell') },
      ...SEVERITIES.map((s) => ({ label: t(`severity.${s}`), value: by[PRIORITIES.indexOf(s)], color: css(`--${s}-fill`) })),
      { label: t('state.offline'), value: c.offline, color: css('--offline') },
      { label: t('state.unknown'), value: c.unknown + c.stale, color: css('--dim') },
    ];
    chart.update(parts);
    setText(middle, ctx.fmt.count(c.total));
    canvas.setAttribute('aria-label', parts.map((s) => `${s.label} ${s.value}`).join(', '));
    list.replaceChildren(...legendRows(ctx, parts));
  }, ['fleet', 'view', 'theme']);
  scope.onEnd(() => chart.destroy());
  return p.el;
}

function legendRows(ctx, parts) {
  return parts.map((s) => {
    const mark = h('span', { class: 'swatch', 'aria-hidden': 'true' });
    mark.style.background = s.color;
    return h('li', { class: s.value === 0 ? 'is-zero' : '' }, mark, h('span', {}, s.label), h('span', { class: 'num' }, ctx.fmt.count(s.value)));
  });
}

const MODELS = 5;

function models(ctx, scope) {
  const { t } = ctx;
  const canvas = h('canvas', { role: 'img' });
  const list = h('ul', { class: 'round-legend' });
  const p = panel('models', t('models.title'), h('div', { class: 'round' }, h('div', { class: 'round-box' }, canvas), list));
  const chart = createRound(canvas, 'pie');
  scope.draw(() => {
    const by = new Map();
    for (const d of ctx.fleet.rows) if (d && (!ctx.view.building || d.building === ctx.view.building)) by.set(d.model, (by.get(d.model) ?? 0) + 1);
    const sorted = [...by].sort((a, b) => b[1] - a[1]);
    const parts = sorted.slice(0, MODELS).map(([name, value], i) => ({ label: name || t('state.unknown'), value, color: css(`--ramp-${5 - i}`) }));
    const rest = sorted.slice(MODELS).reduce((n, [, v]) => n + v, 0);
    if (rest > 0) parts.push({ label: t('models.rest'), value: rest, color: css('--line') });
    chart.update(parts);
    canvas.setAttribute('aria-label', parts.map((s) => `${s.label} ${s.value}`).join(', '));
    list.replaceChildren(...legendRows(ctx, parts));
  }, ['fleet', 'view', 'theme']);
  scope.onEnd(() => chart.destroy());
  return p.el;
}

function gateways(ctx, scope) {
  const list = h('ul', { class: 'gateway-lines' });
  const p = panel('gateway-strip', ctx.t('gateways.title'), list);
  scope.draw(() => {
    const all = ctx.plant.state.gateways.filter((g) => !ctx.view.building || g.building === ctx.view.building);
    list.replaceChildren(...(all.length > 0 ? all.map((g) => gatewayLine(ctx, g)) : [h('li', { class: 'empty' }, ctx.t('gateways.none'))]));
  }, ['gateways', 'view']);
  return p.el;
}

function levels(ctx, scope) {
  const { t } = ctx;
  const canvas = h('canvas', { role: 'img', 'aria-label': t('levels.title') });
  const p = panel('levels', t('levels.title'), h('div', { class: 'chart' }, canvas));
  const chart = createBars(canvas);
  scope.every(15_000, async () => {
    const a = await get('/api/v1/alerts/trend?hours=24');
    if (scope.isOver()) return;
    chart.update(a.time.map((ms) => String(new Date(ms).getHours()).padStart(2, '0')),
      SEVERITIES.map((s) => ({ label: t(`severity.${s}`), color: css(`--${s}-fill`), values: a[s] })));
  });
  scope.onEnd(() => chart.destroy());
  return p.el;
}
