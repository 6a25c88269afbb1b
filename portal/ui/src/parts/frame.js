// The frame of every page: the top bar with alarms and liveness, the navigation, and the banner
// for problems of the page, the portal or gateways.
import { glyph, h, setAttr, setClass, setText } from '../core/dom.js';
import { holds, SEVERITIES } from '../model/alarms.js';
import { createCallButton } from './call.js';
import { createViewsButton } from './views.js';

export function createTopbar(ctx, scope) {
  const { t } = ctx;
  const buildings = h('select', { class: 'control', 'aria-label': t('bar.building'), onchange: () => ctx.setBuilding(buildings.value) });
  const search = h('button', { class: 'control search', 'data-search': true, 'aria-haspopup': 'dialog', 'aria-keyshortcuts': 'Control+K', title: t('finder.title'), onclick: ctx.find },
    h('span', { class: 'search-text' }, t('bar.search')), h('kbd', { 'aria-hidden': 'true' }, 'Ctrl K'));
  const chips = SEVERITIES.map((severity, i) => {
    const n = h('span', { class: 'num' }, '0');
    const el = h('a', { class: `chip chip-${severity}`, href: `#/alarms?severity=${severity}` }, glyph(severity), n);
    return { severity, el, n, i };
  });
  const live = h('span', { class: 'live', role: 'status', title: t('live.title') }, h('span', { class: 'live-dot', 'aria-hidden': 'true' }), h('span', { class: 'live-text num' }));
  const lang = h('button', { class: 'button', lang: t('bar.language.lang'), title: t('bar.language.label'), onclick: () => ctx.setLanguage(ctx.lang() === 'zh' ? 'en' : 'zh') }, t('bar.language'));
  const theme = h('button', { class: 'button', 'aria-label': t('bar.theme', { mode: t(`theme.${ctx.theme()}`) }), title: t('bar.theme', { mode: t(`theme.${ctx.theme()}`) }), onclick: ctx.nextTheme }, '◐');
  const help = h('button', { class: 'button', 'aria-label': t('help.open'), title: t('help.open'), onclick: ctx.help }, '?');
  const el = h('header', { class: 'topbar' }, h('a', { class: 'brand', href: '#/overview' }, t('title')), buildings, search, h('div', { class: 'chips' }, chips.map((c) => c.el)), live, h('div', { class: 'bar-end' }, createViewsButton(ctx), createCallButton(ctx, scope), lang, theme, help));

  let options = '';
  scope.draw(() => {
    const names = ctx.fleet.distinct('building');
    const key = JSON.stringify([names, ctx.view.building]);
    if (key === options) return;
    options = key;
    const chosen = ctx.view.building;
    if (chosen && !names.includes(chosen)) names.push(chosen); // one of an address, without devices
    buildings.replaceChildren(h('option', { value: '' }, t('bar.buildings')), ...names.map((n) => h('option', { value: n }, n)));
    buildings.value = ctx.view.building;
  }, ['fleet', 'view']);
  scope.draw(() => {
    const by = ctx.alarms.countBySeverity((a) => holds(a) && ctx.concerns(a));
    for (const c of chips) {
      setText(c.n, by[c.severity]);
      setClass(c.el, 'is-zero', by[c.severity] === 0);
      setAttr(c.el, 'aria-label', t('bar.alarms', { n: by[c.severity], severity: t(`severity.${c.severity}`) }));
    }
  }, ['alarms', 'view']);
  scope.draw(() => {
    const { state, age } = ctx.plant.liveness();
    setText(live.lastChild, state === 'live' && ctx.view.paused ? t('live.paused') : t(`live.${state}`, { age: ctx.fmt.age(age, t), time: ctx.asOfTime() }));
    setAttr(live, 'data-state', state === 'live' && ctx.view.paused ? 'paused' : state);
  }, ['tick', 'socket', 'stats']);
  return el;
}

/** createBanner shows problems, worst first. */
export function createBanner(ctx, scope) {
  const list = h('ul', { class: 'banner-list' });
  const el = h('div', { class: 'banner', role: 'alert', hidden: true }, h('span', { class: 'banner-mark', 'aria-hidden': 'true' }, '!'), list);
  let shown = '';
  scope.draw(() => {
    const troubles = troublesOf(ctx);
    const key = troubles.join('\n');
    if (key === shown) return;
    shown = key;
    list.replaceChildren(...troubles.map((text) => h('li', {}, text)));
    el.hidden = troubles.length === 0;
  }, ['tick', 'socket', 'stats', 'gateways']);
  return el;
}

/** In these states of the connection the page knows nothing of the plant. */
const CUT_OFF = ['refused', 'reconnecting', 'connecting', 'stale'];

const SHOWN = 3; // of the gateways in trouble, by name

function troublesOf(ctx) {
  const { t, plant } = ctx;
  const { state } = plant.liveness();
  const time = ctx.asOfTime();
  const out = plant.state.insecure.map((what) => t(`banner.insecure.${what}`));
  if (CUT_OFF.includes(state)) return [t(`banner.${state}`, { time }), ...out]; // nothing else is known
  const sources = plant.state.stats?.sources;
  if (sources && !sources.hub) out.push(t('banner.hub', { time }));
  if (sources && !sources.kafka) out.push(t('banner.kafka'));
  if (state === 'cut') return out; // gateways are heard through the hub
  const silent = plant.state.gateways.filter((g) => g.silent);
  for (const g of silent.slice(0, SHOWN)) {
    out.push(t('banner.gateway', { gateway: g.gateway, building: g.building, age: ctx.fmt.age(g.age_ms, t) }));
  }
  if (silent.length > SHOWN) out.push(t('banner.gateways', { n: silent.length - SHOWN }));
  if (sources && !sources.kafka) return out; // every gateway's backlog grows
  const late = plant.state.gateways.filter((g) => !g.silent && backlogOf(g, plant) > 10_000);
  for (const g of late.slice(0, SHOWN)) {
    out.push(t('banner.backlog', { gateway: g.gateway, age: ctx.fmt.age(backlogOf(g, plant), t) }));
  }
  if (late.length > SHOWN) out.push(t('banner.backlogs', { n: late.length - SHOWN }));
  return out;
}

/** backlogOf returns the age of a gateway's oldest reading that is not in Kafka, in ms. */
function backlogOf(g, plant) {
  const oldest = g.ledger?.oldest ?? 0;
  return oldest > 0 ? plant.serverNow() - oldest : 0;
}
