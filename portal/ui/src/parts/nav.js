// The navigation: the pages by what they are for. A further page is a name here, an icon, and a text nav.<name>.
import { h, setAttr } from '../core/dom.js';

export const GROUPS = [
  { name: 'operate', pages: ['overview', 'alarms', 'devices', 'trends'] },
  { name: 'explain', pages: ['report', 'shiftnotes', 'rules'] },
  { name: 'platform', pages: ['gateways', 'system', 'audit', 'people'] },
];
export const PAGES = GROUPS.flatMap((g) => g.pages);

/** On phones the first ones are in the bar, the others behind "more". */
const IN_BAR = GROUPS[0].pages;

const ICONS = {
  overview: 'M3 3h8v8H3zM13 3h8v5h-8zM13 10h8v11h-8zM3 13h8v8H3z',
  trends: 'M3 17l5-6 4 4 5-8 4 5v3l-4-5-5 8-4-4-5 6z',
  alarms: 'M12 3l10 18H2zM11 9v6h2V9zM11 16.5v2h2v-2z',
  devices: 'M4 4h16v3H4zM4 9h16v3H4zM4 14h16v3H4zM4 19h16v2H4z',
  gateways: 'M11 3h2v6h5v5h3v7h-8v-7h3v-3H8v3h3v7H3v-7h3V9h5z',
  shiftnotes: 'M4 3h16v14h-7l-5 4v-4H4zM6 5v10h4v2l2.5-2H18V5zM8 7.5h8V9H8zM8 11h6v1.5H8z',
  report: 'M4 3h16v18H4zM6 5v14h12V5zM8 13h2v4H8zM11 9h2v8h-2zM14 11h2v6h-2z',
  rules: 'M3 4h18v2H3zM3 18h18v2H3zM4 15l5-5 4 3 6-6 1.5 1.5L13 16l-4-3-3.5 3.5z',
  audit: 'M5 2h11l4 4v16H5zM7 4v16h11V8h-4V4zM9 11h7v1.5H9zM9 14h7v1.5H9zM9 17h5v1.5H9z',
  people: 'M12 3a4 4 0 1 1 0 8a4 4 0 0 1 0-8zM4 21c0-5 3-8 8-8s8 3 8 8z',
  system: 'M3 6h4v4H3zM10 6h4v4h-4zM17 6h4v4h-4zM7 7.5h3v1H7zM14 7.5h3v1h-3zM3 14h18v5H3z',
  more: 'M4 10h4v4H4zM10 10h4v4h-4zM16 10h4v4h-4z',
};

function icon(name) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(ns, 'path');
  path.setAttribute('d', ICONS[name] ?? ICONS.devices);
  path.setAttribute('fill-rule', 'evenodd');
  svg.append(path);
  return svg;
}

export function createNav(ctx, scope, route) {
  const { t } = ctx;
  const active = ['device', 'plan'].includes(route.page) ? 'devices' : route.page;
  const more = h('button', { class: 'nav-link nav-more', 'aria-expanded': 'false', onclick: () => unfold(more.getAttribute('aria-expanded') !== 'true') }, icon('more'), h('span', {}, t('nav.more')));
  const nav = h('nav', { class: 'nav', 'aria-label': t('nav') },
    GROUPS.map((g) => h('div', { class: `nav-group nav-${g.name}`, role: 'group', 'aria-label': t(`nav.group.${g.name}`) },
      h('span', { class: 'nav-title', 'aria-hidden': 'true' }, t(`nav.group.${g.name}`)), g.pages.map(link))), more);
  if (!IN_BAR.includes(active)) more.classList.add('is-here');

  function link(name) {
    return h('a', { class: `nav-link ${IN_BAR.includes(name) ? '' : 'is-more'}`, href: `#/${name}`, 'data-needs': name === 'audit' && 'investigate', 'aria-current': name === active ? 'page' : null }, icon(name), h('span', {}, t(`nav.${name}`)));
  }

  function unfold(on) {
    setAttr(more, 'aria-expanded', String(on));
    nav.classList.toggle('is-unfolded', on);
  }

  scope.listen(document, 'click', (e) => !more.contains(e.target) && unfold(false));
  scope.listen(nav, 'keydown', (e) => {
    if (e.key !== 'Escape' || more.getAttribute('aria-expanded') !== 'true') return;
    unfold(false);
    more.focus();
  });
  return nav;
}
