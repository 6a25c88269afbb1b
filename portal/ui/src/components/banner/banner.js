// A line under the bar, only when something is wrong with us: the portal, its sources, a
// gateway. What is wrong in the plant is an alarm, not a banner.
import { h, setAttr, setText } from '../../core/dom.js';
import { age } from '../../core/format.js';

const API_LATE = 8000;

/** problems lists what is wrong with us, the worst first, as [key, values]. */
export function problems(store, now, t) {
  const out = [];
  const s = store.state;
  if (s.socket === 'refused') out.push(['banner.refused', {}]);
  else if (s.socket !== 'open' && now - s.socketSince > 2000) {
    out.push(['banner.socket', { age: age(now - s.socketSince, t) }]);
  } else if (s.stats && now - s.statsAt > API_LATE) {
    out.push(['banner.api', { age: age(now - s.statsAt, t) }]);
  }
  if (s.stats && !s.stats.sources.hub) out.push(['banner.hub', {}]);
  if (s.stats && !s.stats.sources.kafka) out.push(['banner.kafka', {}]);
  for (const g of s.gateways) {
    const silence = g.age_ms + (now - g.at);
    if (g.silent) out.push(['banner.gateway', { gateway: g.gateway, building: g.building, age: age(silence, t) }]);
  }
  return out;
}

export function createBanner(ctx) {
  const lines = h('div', { class: 'banner-lines' });
  const el = h('div', { class: 'banner', role: 'status', hidden: true }, h('span', { class: 'banner-mark', 'aria-hidden': 'true' }, '!'), lines);
  ctx.component(() => {
    const list = problems(ctx.store, Date.now(), ctx.t);
    setAttr(el, 'hidden', list.length === 0);
    while (lines.children.length > list.length) lines.lastChild.remove();
    list.forEach(([key, values], i) => {
      if (!lines.children[i]) lines.append(h('p'));
      setText(lines.children[i], ctx.t(key, values));
    });
  }, ['stats', 'socket', 'gateways', 'tick']);
  return el;
}
