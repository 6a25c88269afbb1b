// One card per gateway: whether it is up, how long its buffer lasts, and whether its ledger adds up.
import { h } from '../core/dom.js';

/** horizon returns how long the buffer lasts at the current rate. */
function horizon(ctx, g) {
  const s = g.horizon_seconds;
  if (g.buffer_full) return ctx.t('gateway.full');
  if (s === undefined || s === null || s < 0) return ctx.t('gateway.horizon.unknown');
  return ctx.t('gateway.horizon', { age: s > 99 * 86_400 ? `>99${ctx.fmt.THIN}d` : ctx.fmt.age(s * 1000, ctx.t) });
}

/** trouble returns a gateway's first trouble, or null. */
export const trouble = (g) => g.trouble?.[0] ?? null;

function meter(ctx, g) {
  const el = h('meter', { min: '0', max: '1', value: String(g.buffer_used ?? 0), 'aria-label': ctx.t('gateway.buffer', { used: ctx.fmt.bytes(g.buffer_bytes), limit: ctx.fmt.bytes(g.buffer_limit) }) });
  el.title = ctx.t('gateway.buffer', { used: ctx.fmt.bytes(g.buffer_bytes), limit: ctx.fmt.bytes(g.buffer_limit) });
  return el;
}

/** heard says when a gateway was heard last: text is live's text, which takes an age. */
function heard(ctx, g, text) {
  if (ctx.plant.asOf()) return ctx.t('age.asof', { time: ctx.asOfTime() });
  return ctx.t(text, { age: ctx.fmt.age(g.age_ms + Math.max(Date.now() - g.at, 0), ctx.t) });
}

/** gatewayLine is a gateway in one line, for the overview. */
export function gatewayLine(ctx, g) {
  const bad = trouble(g);
  return h('li', { class: `gateway-line${bad ? ' is-bad' : ''}` },
    h('a', { href: '#/gateways', class: 'gateway-name' }, g.gateway),
    h('span', { class: 'gateway-building' }, g.building),
    meter(ctx, g),
    h('span', { class: 'num' }, horizon(ctx, g)),
    h('span', { class: 'gateway-age num' }, heard(ctx, g, g.silent ? 'gateway.silent' : 'age.ago')));
}

export function createGatewaysPage(ctx, scope) {
  const { t } = ctx;
  const list = h('div', { class: 'gateway-cards' });
  scope.draw(() => {
    const all = ctx.plant.state.gateways.filter((g) => !ctx.view.building || g.building === ctx.view.building);
    list.replaceChildren(...(all.length > 0 ? all.map((g) => card(ctx, g)) : [h('p', { class: 'empty' }, t('gateways.none'))]));
  }, ['gateways', 'view', 'liveness']);
  return h('div', { class: 'gateways-page' }, h('h1', { class: 'sr-only' }, t('gateways.title')), list);
}

function card(ctx, g) {
  const { t, fmt } = ctx;
  const bad = trouble(g);
  const total = g.ledger?.total ?? {};
  const facts = [
    [t('gateway.fact.link'), heard(ctx, g, g.silent ? 'gateway.silent' : 'gateway.up')],
    [t('gateway.fact.started'), fmt.clock(g.started, ctx.plant.serverNow())],
    [t('gateway.fact.rate'), g.rate === null ? '–' : t('per.second', { n: fmt.rate(g.rate) })],
    [t('gateway.fact.buffer'), t('gateway.buffer', { used: fmt.bytes(g.buffer_bytes), limit: fmt.bytes(g.buffer_limit) })],
    [t('gateway.fact.horizon'), horizon(ctx, g)],
    [t('gateway.fact.accepted'), fmt.count(total.accepted ?? g.accepted)],
    [t('gateway.fact.committed'), fmt.count(total.committed)],
    [t('gateway.fact.refused'), fmt.count(total.refused ?? g.refused)],
    [t('gateway.fact.damaged'), fmt.count(total.damaged)],
    [t('gateway.fact.duplicates'), fmt.count(total.duplicates)],
    [t('gateway.fact.difference'), fmt.count(g.ledger?.difference)],
    [t('gateway.fact.clock'), t('gateway.clock', { n: fmt.fixed((g.clock_offset_ms ?? 0) / 1000, 1) })],
    [t('gateway.fact.version'), g.version],
  ];
  return h('section', { class: `panel gateway-card${bad ? ' is-bad' : ''}`, 'data-gateway': g.gateway },
    h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, g.gateway), h('span', { class: 'panel-note' }, g.building), h('span', { class: 'panel-space' }),
      bad ? h('span', { class: 'gateway-trouble' }, t(`gateway.trouble.${bad}`)) : null),
    h('div', { class: 'gateway-body' }, meter(ctx, g), h('dl', { class: 'facts' }, facts.flatMap(([k, v]) => [h('dt', {}, k), h('dd', { class: 'num' }, v)]))));
}
