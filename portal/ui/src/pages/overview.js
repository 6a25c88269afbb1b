// Overview: whether anything is wrong and where, and whether the data is live.
import { afterPaint } from '../chart/afterpaint.js';
import { css } from '../chart/palette.js';
import { get } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { sheet } from '../core/later.js';
import { SEVERITIES } from '../model/alarms.js';
import { PRIORITIES } from '../model/fleet.js';
import { createAttention, createSentence } from '../parts/attention.js';
import { field, panel } from '../parts/badge.js';
import { statesNote } from '../parts/buildings.js';
import { createFleetPanel } from '../parts/fleetpanel.js';
import { gatewayLine } from '../parts/gateway.js';
import { createMeans } from '../parts/means.js';
import { createSparkline } from '../parts/spark.js';

export function createOverview(ctx, scope) {
  return h(
    'div',
    { class: 'overview' },
    h('h1', { class: 'sr-only' }, ctx.t('nav.overview')),
    createSentence(ctx, scope),
    figures(ctx, scope),
    createFleetPanel(ctx, scope),
    createAttention(ctx, scope),
    unusual(ctx, scope),
    createMeans(ctx, scope),
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
  const asOf = h('p', { class: 'figures-asof num', hidden: true });
  el.append(asOf);
  scope.draw(() => {
    asOf.hidden = !ctx.plant.asOf();
    setText(asOf, asOf.hidden ? '' : t('asof', { time: ctx.asOfTime() }));
  }, ['liveness']);
  scope.draw(() => {
    const c = ctx.fleet.counts(ctx.view.building);
    f.devices.set(ctx.fmt.count(c.total));
    f.states.set(ctx.fmt.count(c.online), statesNote(ctx, c));
  }, ['fleet', 'view']);
  scope.draw(() => {
    const s = ctx.plant.state.stats;
    if (!s) return;
    f.rate.set(ctx.fmt.rate(s.readings.per_second));
    spark.draw(ctx.plant.rates);
    const l = s.latency_ms.to_socket ?? s.latency_ms.to_portal; // of readings: without a chart or a table none goes to a browser
    f.latency.rename(t(s.latency_ms.to_socket ? 'figure.latency' : 'figure.latency.portal'));
    f.latency.set(l ? ctx.fmt.millis(l.mean) : '–', l ? t('figure.p99', { n: ctx.fmt.millis(l.p99) }) : t('figure.none'));
    const lag = s.kafka?.lag;
    f.lag.set(lag === undefined || lag === null ? '–' : ctx.fmt.count(lag), t('figure.lag.note'));
    f.clients.set(ctx.fmt.count(s.clients.open), t('figure.clients.note', { n: ctx.fmt.rate(s.pushed.per_second) }));
  }, ['stats']);
  return el;
}

function states(ctx, scope) {
  const { t } = ctx;
  const canvas = h('canvas', { role: 'img' });
  const middle = h('div', { class: 'round-middle num' });
  const list = h('ul', { class: 'round-legend' });
  const p = panel('states', t('states.title'), h('div', { class: 'round' }, h('div', { class: 'round-box' }, canvas, middle), list));
  const chart = afterPaint(ctx.listed, (m) => m.createRound(canvas, 'doughnut'));
  scope.draw(() => {
    const c = ctx.fleet.counts(ctx.view.building);
    const by = ctx.fleet.byPriority(ctx.view.building);
    const parts = [
      { label: t('state.online'), value: c.online - c.fault, color: css('--cell') },
      ...SEVERITIES.map((s) => ({ label: t(`severity.${s}`), value: by[PRIORITIES.indexOf(s)], color: css(`--${s}-fill`) })),
      { label: t('state.offline'), value: c.offline, color: css('--offline') },
      { label: t('state.stale'), value: c.stale, color: css('--muted') },
      { label: t('state.unknown'), value: c.unknown, color: css('--dim') },
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

/** unusual makes room for the most unusual devices, which come after the alarms. */
function unusual(ctx, scope) {
  const el = h('section', { class: 'panel unusual' });
  ctx.listed.then(() => Promise.all([import('../parts/unusual.js'), ctx.texts('anomaly'), sheet('anomaly')])).then(([m]) => {
    if (!scope.isOver()) m.fillUnusual(ctx, scope, el);
  }, () => el.remove()); // the overview is whole without
  return el;
}

const MODELS = 5;

function models(ctx, scope) {
  const { t } = ctx;
  const canvas = h('canvas', { role: 'img' });
  const list = h('ul', { class: 'round-legend' });
  const p = panel('models', t('models.title'), h('div', { class: 'round' }, h('div', { class: 'round-box' }, canvas), list));
  const chart = afterPaint(ctx.listed, (m) => m.createRound(canvas, 'pie'));
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
  }, ['gateways', 'view', 'liveness']);
  return p.el;
}

function levels(ctx, scope) {
  const { t } = ctx;
  const canvas = h('canvas', { role: 'img', 'aria-label': t('levels.title') });
  const p = panel('levels', t('levels.title'), h('div', { class: 'chart' }, canvas));
  const chart = afterPaint(ctx.listed, (m) => m.createBars(canvas));
  scope.every(15_000, async () => {
    const a = await get('/api/v1/alerts/trend?hours=24');
    if (scope.isOver()) return;
    chart.update(a.time.map((ms) => String(new Date(ms).getHours()).padStart(2, '0')),
      SEVERITIES.map((s) => ({ label: t(`severity.${s}`), color: css(`--${s}-fill`), values: a[s] })));
  });
  scope.onEnd(() => chart.destroy());
  return p.el;
}
