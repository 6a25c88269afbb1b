// The frame of every page: the top bar with alarms and liveness, the navigation, and the banner
// for problems of the page, the portal or gateways.
import { glyph, h, setAttr, setClass, setText } from '../core/dom.js';
import { needsAttention, SEVERITIES } from '../model/alarms.js';
import { createViewsButton } from './views.js';

export const PAGES = ['overview', 'trends', 'alarms', 'devices', 'shiftnotes', 'report', 'gateways', 'system', 'audit'];

const ICONS = {
  overview: 'M3 3h8v8H3zM13 3h8v5h-8zM13 10h8v11h-8zM3 13h8v8H3z',
  trends: 'M3 17l5-6 4 4 5-8 4 5v3l-4-5-5 8-4-4-5 6z',
  alarms: 'M12 3l10 18H2zM11 9v6h2V9zM11 16.5v2h2v-2z',
  devices: 'M4 4h16v3H4zM4 9h16v3H4zM4 14h16v3H4zM4 19h16v2H4z',
  gateways: 'M11 3h2v6h5v5h3v7h-8v-7h3v-3H8v3h3v7H3v-7h3V9h5z',
  shiftnotes: 'M4 3h16v14h-7l-5 4v-4H4zM6 5v10h4v2l2.5-2H18V5zM8 7.5h8V9H8zM8 11h6v1.5H8z',
  report: 'M4 3h16v18H4zM6 5v14h12V5zM8 13h2v4H8zM11 9h2v8h-2zM14 11h2v6h-2z',
  audit: 'M5 2h11l4 4v16H5zM7 4v16h11V8h-4V4zM9 11h7v1.5H9zM9 14h7v1.5H9zM9 17h5v1.5H9z',
  system: 'M3 6h4v4H3zM10 6h4v4h-4zM17 6h4v4h-4zM7 7.5h3v1H7zM14 7.5h3v1h-3zM3 14h18v5H3z',
};

export function icon(name) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(ns, 'path');
  path.setAttribute('d', ICONS[name]);
  path.setAttribute('fill-rule', 'evenodd');
  svg.append(path);
  return svg;
}

export function createNav(ctx, scope, route) {
  const active = route.page === 'device' ? 'devices' : route.page;
  return h(
    'nav',
    { class: 'nav', 'aria-label': ctx.t('nav') },
    ...PAGES.map((name) =>
      h('a', { class: 'nav-link', href: `#/${name}`, 'aria-current': name === active ? 'page' : null }, icon(name), h('span', {}, ctx.t(`nav.${name}`))),
    ),
  );
}

export function createTopbar(ctx, scope) {
  const { t } = ctx;
  const buildings = h('select', { class: 'control', 'aria-label': t('bar.building'), onchange: () => ctx.setBuilding(buildings.value) });
  const search = h('input', {
    class: 'control search',
    type: 'search',
    placeholder: t('bar.search'),
    'aria-label': t('bar.search'),
    'data-search': true,
    onkeydown: (event) => {
      if (event.key !== 'Enter') return;
      const q = search.value.trim();
      const device = ctx.fleet.byID.get(q) ?? ctx.fleet.rows.find((d) => d && d.name === q);
      if (device) ctx.go('device', device.id);
      else ctx.go('devices', '', { q });
      search.value = '';
    },
  });
  const chips = SEVERITIES.map((severity, i) => {
    const n = h('span', { class: 'num' }, '0');
    const el = h('a', { class: `chip chip-${severity}`, href: `#/alarms?severity=${severity}` }, glyph(severity), n);
    return { severity, el, n, i };
  });
  const live = h('span', { class: 'live', role: 'status', title: t('live.title') }, h('span', { class: 'live-dot', 'aria-hidden': 'true' }), h('span', { class: 'live-text num' }));
  const lang = h('button', { class: 'button', lang: t('bar.language.lang'), title: t('bar.language.label'), onclick: () => ctx.setLanguage(ctx.lang() === 'zh' ? 'en' : 'zh') }, t('bar.language'));
  const theme = h('button', { class: 'button', 'aria-label': t('bar.theme', { mode: t(`theme.${ctx.theme()}`) }), title: t('bar.theme', { mode: t(`theme.${ctx.theme()}`) }), onclick: ctx.nextTheme }, '◐');
  const help = h('button', { class: 'button', 'aria-label': t('help.open'), title: t('help.open'), onclick: ctx.help }, '?');
  const el = h('header', { class: 'topbar' }, h('a', { class: 'brand', href: '#/overview' }, t('title')), buildings, search, h('div', { class: 'chips' }, chips.map((c) => c.el)), live, h('div', { class: 'bar-end' }, createViewsButton(ctx), lang, theme, help));

  let options = '';
  scope.draw(() => {
    const names = ctx.fleet.distinct('building');
    const key = JSON.stringify([names, ctx.view.building]);
    if (key === options) return;
    options = key;
    buildings.replaceChildren(h('option', { value: '' }, t('bar.buildings')), ...names.map((n) => h('option', { value: n }, n)));
    buildings.value = ctx.view.building;
  }, ['fleet', 'view']);
  scope.draw(() => {
    const by = ctx.alarms.countBySeverity((a) => needsAttention(a) && ctx.concerns(a));
    for (const c of chips) {
      setText(c.n, by[c.severity]);
      setClass(c.el, 'is-zero', by[c.severity] === 0);
      setAttr(c.el, 'aria-label', t('bar.alarms', { n: by[c.severity], severity: t(`severity.${c.severity}`) }));
    }
  }, ['alarms', 'view']);
  scope.draw(() => {
    const { state, age } = ctx.plant.liveness();
    setText(live.lastChild, state === 'live' && ctx.view.paused ? t('live.paused') : t(`live.${state}`, { age: ctx.fmt.age(age, t) }));
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

const SHOWN = 3; // of the gateways in trouble, by name

function troublesOf(ctx) {
  const { t, plant } = ctx;
  const { state, age } = plant.liveness();
  const seconds = ctx.fmt.age(Math.floor(age / 1000) * 1000, t);
  const out = [];
  if (state === 'refused') out.push(t('banner.refused'));
  else if (state === 'reconnecting') out.push(t('banner.socket', { age: seconds }));
  else if (state === 'stale' && plant.state.stats?.sources.hub !== false) out.push(t('banner.stale', { age: seconds }));
  if (state === 'reconnecting' || state === 'refused') return out; // the rest is unknown
  const sources = plant.state.stats?.sources;
  if (sources && !sources.hub) out.push(t('banner.hub'));
  if (sources && !sources.kafka) out.push(t('banner.kafka'));
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
