// When the page calls somebody who looks away. Pure: alarms, a clock and what the person did go in; what
// to sound comes out.
import { isUnseen, needsAttention, rank, SEVERITIES } from './alarms.js';

/** An alarm that was found longer ago than this calls nobody: it is of a backlog, or of before the page was opened. */
export const FRESH = 60_000;
/** SILENCE is how long a person can silence it, in ms. */
export const SILENCE = 120_000;
/** AGAIN is after how long the tones of a priority are repeated while an alarm of it is not seen, in ms. */
export const AGAIN = { critical: 5_000, high: 10_000, medium: 30_000, low: 60_000 };

/** createCall returns what decides. Times are in ms, of one clock; found is when an alarm was found, by the same. */
export function createCall() {
  const waiting = new Map(); // alert_id → severity: nobody has seen these
  let sounded = { at: -Infinity, severity: null };
  let silent = 0; // until

  const worst = () => [...waiting.values()].sort((a, b) => rank(a) - rank(b))[0] ?? null;
  const callable = (a) => isUnseen(a) && needsAttention(a) && SEVERITIES.includes(a.severity);

  return {
    /** take learns of a change of an alarm and reports whether it calls. isNew: it was raised, or raised again. */
    take(a, isNew, now, found) {
      if (!callable(a)) {
        waiting.delete(a.alert_id);
        return false;
      }
      if (waiting.has(a.alert_id)) waiting.set(a.alert_id, a.severity); // it may have become worse
      else if (isNew && now - found <= FRESH) waiting.set(a.alert_id, a.severity);
      else return false;
      return isNew;
    },
    /** keep forgets the alarms that are not among those that there are any more: all(id) gives one. */
    keep(all) {
      for (const id of waiting.keys()) {
        const a = all(id);
        if (!a || !callable(a)) waiting.delete(id);
      }
    },
    /** seen: somebody has seen all there is. */
    seen() {
      waiting.clear();
      sounded = { at: -Infinity, severity: null };
    },
    silence: (until) => (silent = until),
    silentUntil: () => silent,
    /** calls returns the worst priority that nobody has seen, or null. */
    calls: worst,
    /**
     * due returns the priority to sound now, or null. Many alarms at once are one call: it comes again for
     * a worse one, or when it is time to repeat it.
     */
    due(now) {
      const severity = worst();
      if (severity === null || now < silent) return null;
      const isWorse = sounded.severity === null || rank(severity) < rank(sounded.severity);
      return isWorse || now - sounded.at >= AGAIN[severity] ? severity : null;
    },
    /** played: a priority has been sounded. */
    played(severity, now) {
      sounded = { at: now, severity };
    },
  };
}

const MARKS = { critical: '◆', high: '▲', medium: '■', low: '●' };

/** headline puts the mark and the number of the worst active alarms before a title: ◆2. by counts them by severity. */
export function headline(title, by) {
  const worst = SEVERITIES.find((s) => by[s] > 0);
  return worst ? `${MARKS[worst]}${by[worst]} ${title}` : title;
}

/** groupOf is what one notification is about: a building's alarms of one type. */
export const groupOf = (a) => `${a.location?.building ?? ''}/${a.alert_type}`;

/** Tones of a priority: [frequency in Hz, start and length in s]. They differ in number, height and pace. */
export const TONES = {
  critical: [[988, 0, 0.12], [784, 0.15, 0.12], [988, 0.3, 0.12], [784, 0.45, 0.12], [988, 0.6, 0.12]],
  high: [[784, 0, 0.15], [784, 0.22, 0.15], [784, 0.44, 0.15]],
  medium: [[587, 0, 0.2], [587, 0.3, 0.2]],
  low: [[440, 0, 0.25]],
};
