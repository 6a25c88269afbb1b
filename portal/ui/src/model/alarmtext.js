// What an alarm says, from its record alone. The portal writes the same texts into its files: package
// alarmtext of the portal, and its testdata/texts.json has examples that both are tested with.
import { fixed, THIN } from '../core/format.js';

const PER = { second: 's', minute: 'min' };
const MINUTE = 60_000;
/** Kinds whose limit is a value that the sensor could have. */
const ON_VALUE = ['high', 'high_high', 'low', 'low_low', 'battery_low', 'signal_weak'];

/**
 * kindOf returns the kind of an alarm's condition, '' if it is not known. Records of former versions do
 * not have it, but their message shows it.
 */
export function kindOf(a) {
  if (a.kind) return a.kind;
  if (a.source === 'watchdog') return a.alert_type;
  const message = a.message ?? '';
  if (/ and /.test(message)) return ''; // two conditions, and nothing says which
  if (/ changes by .*\/(s|min)\b/.test(message)) return 'rate';
  if (/ the room's\b/.test(message)) return 'deviation';
  return { '>': 'high', '<': 'low' }[a.threshold?.operator] ?? '';
}

/** hasValueLimit reports whether an alarm's limit can be drawn among the sensor's values. */
export const hasValueLimit = (a) => ON_VALUE.includes(kindOf(a));

/**
 * alarmText describes an alarm. By env come the words and what is known of sensors: t,
 * name(parameter), unit(parameter), decimals(parameter). An alarm that is over has its peak.
 */
export function alarmText(a, env) {
  const over = a.status !== 'active';
  const shown = { ...a, value: over ? a.peak_value : a.current_value };
  const text = measured(shown, over, env) ?? watched(a, over, env) ?? fallback(a, env);
  const other = a.other && measured({ ...a.other, value: a.other.current_value }, over, env);
  return other ? env.t('what.and', { a: text, b: other }) : text;
}

const fallback = (a, { t, name }) => (t.has(`type.${a.alert_type}`) ? t(`type.${a.alert_type}`) : a.alert_type?.startsWith('anomaly_') ? t('type.anomaly', { name: name(a.alert_type.slice(8)) }) : a.message || a.alert_type);

/** say looks a text up; some have a form of their own for what is over. */
const say = (t, key, over, values) => t(over && t.has(`${key}.over`) ? `${key}.over` : key, values);

/** measured describes a condition on a sensor's values, null if it is none. */
function measured(c, over, env) {
  const p = c.threshold?.parameter;
  if (!p) return null;
  const { t } = env;
  const kind = kindOf(c);
  const places = env.decimals(p);
  const unit = c.unit ?? env.unit(p);
  const label = env.name(p);
  const limit = Math.abs(c.threshold.value);
  const known = typeof c.value === 'number';
  if (!known && (kind === 'rate' || kind === 'deviation')) return null;
  switch (kind) {
    case 'rate':
      return say(t, c.value < 0 ? 'what.rate.down' : 'what.rate.up', over, { name: label, value: perTime(precise(Math.abs(c.value), places), c, unit), limit: short(limit, places) });
    case 'stuck':
      return say(t, 'what.stuck', over, { name: label, value: quantity(c.threshold.value, unit, places), span: span(c.for_ms, t) });
    case 'deviation':
      return say(t, c.value < 0 ? 'what.deviation.below' : 'what.deviation.above', over, {
        name: label, value: withUnit(precise(Math.abs(c.value), places), unit), limit: short(limit, places),
      });
    case 'switch':
      return say(t, 'what.switch', over, { name: label, state: t(c.threshold.value ? 'switch.on' : 'switch.off') });
    case 'anomaly':
      return (c.anomaly && unusualText(c.anomaly, { label, unit, places, raised: c.raised_at }, env)) || t('what.anomaly', { name: label, value: quantity(c.value, unit, places) });
    default:
  }
  if (!ON_VALUE.includes(kind)) return null;
  const value = known ? `${quantity(c.value, unit, places)} ` : '';
  return t('what.beyond', { name: label, value, op: c.threshold.operator, limit: withUnit(short(c.threshold.value, places), unit) });
}

/** unusualText says in what a sensor is unusual, '' if the anomaly does not have the figures of its kind. */
function unusualText(a, { label, unit, places, raised }, { t, name }) {
  const say = (kind, values) => t(`what.anomaly.${kind}`, { name: label, ...values });
  const exact = (v) => withUnit(precise(v, places), unit);
  switch (a.kind) {
    case 'spike':
    case 'pattern': {
      const at = new Date(a.since);
      const values = { n: fixed(Math.abs(a.sigma ?? 0), 1), day: t('week.days').split(',')[at.getDay()], hour: at.getHours() };
      return a.sigma ? say(`${a.seasonal ? 'season' : 'spike'}.${a.value < a.expected ? 'down' : 'up'}`, values) : '';
    }
    case 'level':
      return say('level', { value: quantity(a.value, unit, places), expected: quantity(a.expected, unit, places) });
    case 'drift':
      return say('drift', { n: exact(a.per_hour ?? 0) });
    case 'stuck':
      return say('stuck', { time: moment(a.since, raised) });
    case 'noise':
      return say('noise', { n: short(a.ratio ?? 0, 0) });
    case 'oscillation':
      return say('oscillation');
    case 'dropout':
      return say('dropout', { n: withUnit(fixed(100 * (a.missing ?? 0), 0), '%') });
    case 'correlation':
      return say('correlation', { with: name(a.with) });
    case 'peers':
      return say(a.group === 'model' ? 'peers.model' : 'peers', { n: exact(Math.abs(a.value - a.expected)) });
    default:
      return '';
  }
}

/** anomalyText says the same of what is unusual without an alarm; at is what times of day are of. */
export const anomalyText = (a, at, env) =>
  measured({ kind: 'anomaly', threshold: { parameter: a.sensor, value: 0 }, unit: a.unit, value: a.value, anomaly: a, raised_at: at }, false, env);

/** watched describes what a watchdog found, null if there is nothing to say beyond the alarm's type. */
function watched(a, over, { t }) {
  const value = over ? a.peak_value : a.current_value;
  switch (kindOf(a)) {
    case 'device_offline':
    case 'gateway_down': {
      if (!a.silent_since) return null;
      const end = over && a.cleared_at ? moment(a.cleared_at, a.raised_at) : '';
      return say(t, `what.${kindOf(a)}`, end !== '', { time: moment(a.silent_since, a.raised_at), end });
    }
    case 'device_clock':
    case 'gateway_clock':
      return t(value < 0 ? 'what.clock.behind' : 'what.clock.ahead', { span: span(Math.abs(value) * 1000, t) });
    case 'gateway_buffer_horizon':
      return t('what.gateway_buffer_horizon', { span: span(value * 60 * MINUTE, t), limit: span(a.threshold.value * 60 * MINUTE, t) });
    case 'gateway_ledger':
      return t('what.gateway_ledger', { n: fixed(Math.abs(value), 0) });
    case 'gateway_damaged':
      return t('what.gateway_damaged', { n: fixed(value, 0) });
    default:
      return null;
  }
}

/** peakText is an alarm's worst value, '–' if it has none that means anything. */
export function peakText(a, env) {
  const p = a.threshold?.parameter;
  const kind = kindOf(a);
  if (!p || typeof a.peak_value !== 'number') return '–';
  const unit = a.unit ?? env.unit(p);
  const places = env.decimals(p);
  if (kind === 'rate') return perTime(precise(a.peak_value, places), a, unit);
  if (kind === 'deviation') return (a.peak_value > 0 ? '+' : '') + withUnit(precise(a.peak_value, places), unit);
  return ON_VALUE.includes(kind) ? quantity(a.peak_value, unit, places) : '–';
}

/** limitText is the limit of an alarm's rule: with its own unit, or in words. */
export function limitText(a, env) {
  const p = a.threshold?.parameter;
  const kind = kindOf(a);
  if (!p || a.source === 'watchdog' || kind === '') return '–';
  const { operator, value } = a.threshold;
  if (kind === 'stuck') return span(a.for_ms, env.t);
  if (kind === 'switch') return env.t(value ? 'switch.on' : 'switch.off');
  const text = inUnit(short(value, env.decimals(p)), a, env);
  return kind === 'deviation' ? `±${THIN}${text}` : `${operator} ${text}`;
}

/** deadbandText is a limit's deadband, '–' without one. */
export function deadbandText(a, env) {
  const p = a.threshold?.parameter;
  return a.deadband && p ? inUnit(short(a.deadband, env.decimals(p)), a, env) : '–';
}

/** roomText is what the room's other sensors had, '' if the alarm does not say. */
export function roomText(a, env) {
  const p = a.threshold?.parameter;
  return typeof a.room_value === 'number' ? quantity(a.room_value, a.unit ?? env.unit(p), env.decimals(p)) : '';
}

/** otherText is the second condition of two, '' if there is none. */
export const otherText = (a, env) => (a.other && measured({ ...a.other, value: a.other.current_value }, false, env)) || '';

function inUnit(text, a, env) {
  const unit = a.unit ?? env.unit(a.threshold.parameter);
  return kindOf(a) === 'rate' ? perTime(text, a, unit) : withUnit(text, unit);
}

const withUnit = (text, unit) => (unit && unit !== '1' ? `${text}${THIN}${unit}` : text);
const quantity = (value, unit, places) => (typeof value === 'number' ? withUnit(fixed(value, places), unit) : '–');

/** perTime adds the unit of a rate. Records of former versions have it in their message alone. */
function perTime(text, a, unit) {
  const per = PER[a.per] ?? (/\/s\b/.test(a.message ?? '') ? 's' : 'min');
  return `${text}${THIN}${unit && unit !== '1' ? unit : ''}/${per}`;
}

/** precise has more decimals if it needs them for two digits: a small rate is not 0.0. */
function precise(value, places) {
  let scaled = Math.abs(value) * 10 ** places;
  while (scaled > 0 && scaled < 10 && places < 6) {
    scaled *= 10;
    places++;
  }
  return fixed(value, places);
}

/** short is precise without zeros at the end: 5, not 5.0. */
const short = (value, places) => precise(value, places).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');

/** span is a length of time in one unit. */
function span(ms, t) {
  const s = (ms ?? 0) / 1000;
  if (s < 99.5) return t('age.s', { n: Math.round(s) });
  if (s / 60 < 99.5) return t('age.min', { n: Math.round(s / 60) });
  if (s / 3600 < 47.5) return t('age.h', { n: Math.round(s / 3600) });
  return t('age.d', { n: Math.round(s / 86_400) });
}

const two = (n) => String(n).padStart(2, '0');

/** moment is a local time, with the date when it is not that of the day the alarm was raised on. */
function moment(ms, raised) {
  const d = new Date(ms);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}`;
  return d.toDateString() === new Date(raised).toDateString() ? time : `${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`;
}
