// Rules in words: one sentence for each kind, with the units that values have on the page.
import { format } from '../core/router.js';

const HIGHS = new Set(['high', 'high_high']);
const LOWS = new Set(['low', 'low_low', 'battery_low', 'signal_weak']);

/** duration is a time in words; whole seconds stay whole. */
export const duration = (ms, { fmt, t }) => (ms < 9950 && ms % 1000 === 0 ? t('age.s', { n: ms / 1000 }) : fmt.age(ms, t));

/** conditionText says when one condition holds. */
function conditionText(c, ctx) {
  const { t } = ctx;
  const name = c.parameter ? ctx.sensorName(c.parameter) : '';
  const limit = typeof c.limit === 'number' ? ctx.quantity(c.parameter, c.limit) : '';
  if (HIGHS.has(c.kind)) return t('rules.say.high', { name, limit });
  if (LOWS.has(c.kind)) return t('rules.say.low', { name, limit });
  switch (c.kind) {
    case 'rate':
      return t(`rules.say.rate.${c.direction}`, { name, limit, per: t(`rules.per.${c.per}`), window: duration(c.window_ms, ctx) });
    case 'stuck':
      return t('rules.say.stuck', { name, time: duration(c.for_ms, ctx) });
    case 'deviation':
      return t(`rules.say.deviation.${c.from}`, { name, limit, sensors: c.sensors });
    case 'switch':
      return t(`rules.say.switch.${c.is}`, { name });
    default:
      return t('rules.say.offline');
  }
}

/** ruleText says when a rule raises an alarm. */
export function ruleText(r, ctx) {
  if (!r.other) return conditionText(r, ctx);
  return ctx.t(`rules.say.${r.combine}`, { a: conditionText(r, ctx), b: conditionText(r.other, ctx) });
}

/** ruleDelays says how long the condition must hold, and when the alarm clears. */
export function ruleDelays(r, ctx) {
  const { t } = ctx;
  const out = [];
  if (r.on_delay_ms > 0) out.push(t('rules.for', { time: duration(r.on_delay_ms, ctx) }));
  if (r.deadband > 0 && HIGHS.has(r.kind)) out.push(t('rules.back.high', { limit: ctx.quantity(r.parameter, r.limit - r.deadband) }));
  if (r.deadband > 0 && LOWS.has(r.kind)) out.push(t('rules.back.low', { limit: ctx.quantity(r.parameter, r.limit + r.deadband) }));
  if (r.off_delay_ms > 0) out.push(t('rules.back.for', { time: duration(r.off_delay_ms, ctx) }));
  return out.join(' · ');
}

/** ruleWhere says which devices a rule is for. */
export function ruleWhere(r, { t }) {
  const parts = ['buildings', 'floors', 'models', 'devices'].filter((k) => r.where?.[k]?.length > 0).map((k) => t(`rules.where.${k}`, { list: r.where[k].join(', ') }));
  return parts.length > 0 ? parts.join(' · ') : t('rules.where.all');
}

/** ruleHref leads to a rule. */
export const ruleHref = (id) => format({ page: 'rules', subject: id });
