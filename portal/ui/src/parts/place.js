// A place as a title with the way back: all devices › building › floor › room.
import { h } from '../core/dom.js';

/** createPlaceTitle makes the title of the page of devices; show({building, floor, room}) says of which place. */
export function createPlaceTitle(ctx) {
  const el = h('div', { class: 'place-title' });
  let shown = '';
  return {
    el,
    show({ building, floor, room }) {
      const key = JSON.stringify([building, floor, room, ctx.lang()]);
      if (key === shown) return;
      shown = key;
      el.replaceChildren(...crumbs(ctx, building, floor, room));
    },
  };
}

function crumbs(ctx, building, floor, room) {
  const { t } = ctx;
  const steps = [{ text: t('devices.title'), href: ctx.placeHref({}) }];
  if (building) steps.push({ text: building, href: ctx.placeHref({ building }) });
  if (floor !== '') steps.push({ text: t('floor', { n: floor }), href: ctx.placeHref({ building, floor }) });
  if (room) steps.push({ text: room, href: '' });
  const last = steps.pop();
  return [
    ...steps.flatMap((s) => [h('a', { href: s.href }, s.text), h('span', { class: 'crumb-mark', 'aria-hidden': 'true' }, '›')]),
    h('h1', { class: 'panel-title', 'data-place': true }, last.text),
    ...(building && floor !== '' && ctx.route().page !== 'plan' ? [h('a', { class: 'place-plan', href: ctx.pageHref('plan', { b: building, f: floor }) }, t('nav.plan'))] : []),
  ];
}
