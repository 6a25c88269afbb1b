// What a gateway says of itself in a few words: whether it is up, and how long its buffer lasts.
import { h } from '../core/dom.js';

/** horizon returns how long the buffer lasts at the current rate. */
export function horizon(ctx, g) {
  const s = g.horizon_seconds;
  if (g.buffer_full) return ctx.t('gateway.full');
  if (s === undefined || s === null || s < 0) return ctx.t('gateway.horizon.unknown');
  return ctx.t('gateway.horizon', { age: s > 99 * 86_400 ? `>99${ctx.fmt.THIN}d` : ctx.fmt.age(s * 1000, ctx.t) });
}

/** trouble returns a gateway's first trouble, or null. */
export const trouble = (g) => g.trouble?.[0] ?? null;

/** meter shows how full a gateway's buffer is. */
export function meter(ctx, g) {
  const el = h('meter', { min: '0', max: '1', value: String(g.buffer_used ?? 0), 'aria-label': ctx.t('gateway.buffer', { used: ctx.fmt.bytes(g.buffer_bytes), limit: ctx.fmt.bytes(g.buffer_limit) }) });
  el.title = ctx.t('gateway.buffer', { used: ctx.fmt.bytes(g.buffer_bytes), limit: ctx.fmt.bytes(g.buffer_limit) });
  return el;
}

/** heard says when a gateway was heard last: text is live's text, which takes an age. */
export function heard(ctx, g, text) {
  if (ctx.plant.asOf()) return ctx.t('asof', { time: ctx.asOfTime() });
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
