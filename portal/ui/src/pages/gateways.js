// One card per gateway: whether it is up, how long its buffer lasts, and whether its ledger adds up.
import { createTrace } from '../chart/trace.js';
import { get } from '../core/api.js';
import { h } from '../core/dom.js';
import { sheet } from '../core/later.js';
import { heard, horizon, meter, trouble } from '../parts/gateway.js';

export function createGatewaysPage(ctx, scope) {
  const { t } = ctx;
  const list = h('div', { class: 'gateway-cards' });
  const hours = new Map(); // gateway → its last hour, kept while cards are made anew
  const hour = (g) => {
    if (!hours.has(g.gateway)) hours.set(g.gateway, createHour(ctx));
    return hours.get(g.gateway);
  };
  scope.every(15_000, async () => {
    const { items } = await get('/api/v1/processes?limit=1000');
    if (scope.isOver()) return;
    for (const p of items) if (p.program === 'edge') hours.get(p.instance)?.set(p);
  });
  const below = h('div', { class: 'gateway-credentials' }); // of the gateway that was chosen
  let chosen = null;
  async function credentials(gateway) {
    const [m] = await Promise.all([import('../parts/credentials.js'), ctx.texts('people'), sheet('people')]);
    if (scope.isOver()) return;
    chosen?.end();
    chosen = ctx.scope();
    scope.onEnd(chosen.end);
    const panel = m.createCredentials(ctx, chosen, gateway);
    below.replaceChildren(panel);
    panel.scrollIntoView({ block: 'start' });
    panel.querySelector('button').focus({ preventScroll: true });
  }
  scope.draw(() => {
    const all = ctx.plant.state.gateways.filter((g) => !ctx.view.building || g.building === ctx.view.building);
    list.replaceChildren(...(all.length > 0 ? all.map((g) => card(ctx, g, hour(g), credentials)) : [h('p', { class: 'empty' }, t('gateways.none'))]));
  }, ['gateways', 'view', 'liveness']);
  return h('div', { class: 'gateways-page' }, h('h1', { class: 'sr-only' }, t('gateways.title')), list, below);
}

/** createHour is the last hour of a gateway: readings, time to acknowledge, buffer, CPU and memory. */
function createHour(ctx) {
  const { t, fmt } = ctx;
  const rows = {
    rate: ['gateway.fact.rate', (v) => t('per.second', { n: fmt.rate(v) })],
    ms: ['gateway.hour.ack', (v) => fmt.millis(v)],
    buffer_used: ['gateway.fact.buffer', (v) => `${fmt.fixed(100 * v, 1)} %`],
    cpu_percent: ['process.col.cpu', (v) => `${fmt.fixed(v, 1)} %`],
    memory_bytes: ['process.col.memory', (v) => fmt.bytes(v)],
  };
  const traces = Object.fromEntries(Object.keys(rows).map((name) => [name, { trace: createTrace(), most: h('dd', { class: 'num' }, '–') }]));
  const el = h('dl', { class: 'facts gateway-hour', 'aria-label': t('stage.hour') }, Object.entries(rows).flatMap(([name, [label]]) => [
    h('dt', {}, t(label)), h('dd', {}, traces[name].trace.el), traces[name].most]));
  return {
    el,
    set(p) {
      for (const [name, [, text]] of Object.entries(rows)) {
        const values = p.course[name];
        const known = values.filter((v) => v !== null);
        traces[name].trace.set(values);
        traces[name].most.textContent = known.length > 0 ? t('gateway.hour.most', { value: text(Math.max(...known)) }) : '–';
      }
    },
  };
}

function card(ctx, g, hour, credentials) {
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
    h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, h('a', { href: ctx.pageHref('devices', { gateway: g.gateway }) }, g.gateway)), h('span', { class: 'panel-note' }, g.building), h('span', { class: 'panel-space' }),
      bad ? h('span', { class: 'gateway-trouble' }, t(`gateway.trouble.${bad}`)) : null,
      h('button', { class: 'button is-small', 'data-needs': 'device_command', 'data-key': `credentials-${g.gateway}`, 'aria-label': `${t('credentials.open')}: ${g.gateway}`, onclick: () => credentials(g.gateway).catch((e) => ctx.tell(e.message)) }, t('credentials.open'))),
    h('div', { class: 'gateway-body' }, meter(ctx, g), h('dl', { class: 'facts' }, facts.flatMap(([k, v]) => [h('dt', {}, k), h('dd', { class: 'num' }, v)])),
      h('h3', { class: 'gateway-hour-title' }, t('stage.hour')), hour.el));
}
