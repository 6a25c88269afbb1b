// On phones, in place of the fleet map: a bar per building with its problems.
import { h } from '../core/dom.js';

const narrow = matchMedia('(max-width: 767px)');

export function createBuildings(ctx, scope) {
  const el = h('ul', { class: 'buildings' });
  scope.draw(() => {
    if (!narrow.matches) return;
    const all = [...ctx.fleet.byBuilding()].filter(([name]) => !ctx.view.building || name === ctx.view.building);
    el.replaceChildren(...all.sort(([a], [b]) => a.localeCompare(b)).map(([name, c]) => row(ctx, name, c)));
  }, ['fleet', 'view', 'slow']);
  return el;
}

/** statesNote counts the devices that are not online, each state by its name; stale and unknown ones if there are any. */
export function statesNote(ctx, c) {
  const others = ['offline', 'stale', 'unknown'].filter((s) => s === 'offline' || c[s] > 0).map((s) => `${ctx.fmt.count(c[s])} ${ctx.t(`state.${s}`)}`);
  return [...others, ctx.t('figure.fault', { n: ctx.fmt.count(c.fault) })].join(' · ');
}

function row(ctx, name, c) {
  const away = c.offline + c.stale + c.unknown;
  const part = (kind, n) => {
    const el = h('span', { class: `building-part is-${kind}` });
    el.style.flexGrow = String(n);
    el.hidden = n === 0;
    return el;
  };
  return h('li', {},
    h('a', { class: 'building', href: ctx.placeHref({ building: name }) },
      h('span', { class: 'building-name' }, name || ctx.t('building.none')),
      h('span', { class: 'num' }, ctx.fmt.count(c.total)),
      h('span', { class: 'building-note num' }, statesNote(ctx, c)),
      h('span', { class: 'building-bar', 'aria-hidden': 'true' }, part('fault', c.fault), part('away', away), part('well', c.total - c.fault - away))));
}
