// Numbers and times as the page shows them. Pure functions.

export const THIN = '\u2009'; // between a value and its unit

/** age formats an age in one unit: 0.3 s, 12 s, 4 min, 3 h, 2 d. */
export function age(ms, t) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return t('unknown');
  const s = Math.max(ms, 0) / 1000;
  if (s < 9.95) return t('age.s', { n: s.toFixed(1) });
  if (s < 99.5) return t('age.s', { n: Math.round(s) });
  const min = s / 60;
  if (min < 99.5) return t('age.min', { n: Math.round(min) });
  const hours = min / 60;
  if (hours < 47.5) return t('age.h', { n: Math.round(hours) });
  return t('age.d', { n: Math.round(hours / 24) });
}

/** count separates thousands. */
export function count(n) {
  if (n === null || n === undefined) return '–';
  return String(Math.round(n)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** rate is a number of events per second, short. */
export function rate(n) {
  if (n === null || n === undefined) return '–';
  if (n >= 9950) return `${(n / 1000).toFixed(1)}k`;
  if (n >= 100) return count(n);
  return n.toFixed(n >= 10 ? 0 : 1);
}

/**
 * value formats a sensor's number with its unit, or a dash if it is absent. Without decimals a
 * number has up to four significant digits.
 */
export function value(sensor, decimals = null) {
  if (!sensor || typeof sensor.value !== 'number') return '–';
  const places = decimals ?? Math.min(Math.max(3 - Math.floor(Math.log10(Math.abs(sensor.value) || 1)), 0), 3);
  const text = fixed(sensor.value, places);
  return sensor.unit && sensor.unit !== '1' ? `${text}${THIN}${sensor.unit}` : text;
}

/** fixed rounds to so many decimals and separates thousands; a zero has no sign. */
export function fixed(n, places) {
  const s = n.toFixed(places);
  const [whole, fraction] = s.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  const text = fraction === undefined ? grouped : `${grouped}.${fraction}`;
  return /^-[0.,]*$/.test(text) ? text.slice(1) : text;
}

/** milliseconds are shown whole, and many of them as seconds. */
export function millis(n) {
  if (n === null || n === undefined) return '–';
  return n < 10_000 ? `${count(n)}${THIN}ms` : `${count(n / 1000)}${THIN}s`;
}

/** bytes in the unit that gives one to three digits before the point. */
export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let k = 0;
  while (n >= 1000 && k < units.length - 1) {
    n /= 1024;
    k++;
  }
  return `${k === 0 || n >= 99.5 ? Math.round(n) : n.toFixed(1)}${THIN}${units[k]}`;
}

const two = (n) => String(n).padStart(2, '0');

/** clock is a local time of day, with the date when it is not today's. */
export function clock(ms, nowMs) {
  const d = new Date(ms);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  if (d.toDateString() === new Date(nowMs).toDateString()) return time;
  return `${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`;
}

/** moment is a local time to the minute, with the date when it is not today's: 12 Nov 14:02. */
export function moment(ms, nowMs, lang) {
  const d = new Date(ms);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}`;
  if (d.toDateString() === new Date(nowMs).toDateString()) return time;
  const year = d.getFullYear() === new Date(nowMs).getFullYear() ? undefined : 'numeric';
  return `${new Intl.DateTimeFormat(lang === 'zh' ? 'zh-CN' : 'en-GB', { day: 'numeric', month: 'short', year }).format(d)} ${time}`;
}

/** utc is what a tooltip shows. */
export function utc(ms) {
  return `${new Date(ms).toISOString().replace('T', ' ').slice(0, 19)} UTC`;
}
