// Changes of rules: the figures that were typed, the text that they make, and what differs. Pure functions.

const LIMITS = ['limit', 'deadband'];
const DELAYS = { on_delay_ms: 'on_delay', off_delay_ms: 'off_delay' };
/** The order in which a rule's text has its fields; new ones go in front of the first that comes later. */
const ORDER = ['kind', 'parameter', 'limit', 'deadband', 'unit', 'direction', 'per', 'window', 'from', 'sensors', 'on_delay', 'off_delay', 'severity', 'where', 'disabled'];

/** changedFigures returns those of the figures that are not a rule's own. */
export function changedFigures(rule, figures) {
  return Object.fromEntries(Object.entries(figures).filter(([key, value]) => value !== (rule[key] ?? 0)));
}

/** timeText is a time as a rules file has it: 1m30s. */
export function timeText(ms) {
  const [hours, minutes, seconds] = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60, (ms % 60_000) / 1000];
  const text = `${hours > 0 ? `${hours}h` : ''}${minutes > 0 ? `${minutes}m` : ''}${seconds > 0 ? `${seconds}s` : ''}`;
  return text || '0s';
}

/**
 * withFigures returns the text of a rule with other figures. Limit and deadband are in the canonical unit: a unit that the text
 * has is left out, and both of them are written anew.
 */
export function withFigures(rule, figures) {
  const lines = (rule.text ?? '').replace(/\n$/, '').split('\n');
  const inOwnUnit = lines.some((l) => /^ {2}unit:/.test(l)) && LIMITS.some((k) => k in figures);
  const all = inOwnUnit ? { limit: rule.limit, deadband: rule.deadband ?? 0, ...figures } : figures;
  const kept = inOwnUnit ? lines.filter((l) => !/^ {2}unit:/.test(l)) : lines;
  for (const [key, value] of Object.entries(all)) put(kept, DELAYS[key] ?? key, key in DELAYS ? timeText(value) : String(value), value === 0 && key !== 'limit');
  return `${kept.join('\n')}\n`;
}

/** put sets a field of the rule, or leaves it out. */
function put(lines, name, value, out) {
  const at = lines.findIndex((l) => l.startsWith(`  ${name}:`));
  if (at >= 0) lines.splice(at, 1, ...(out ? [] : [`  ${name}: ${value}`]));
  else if (!out) {
    const later = ORDER.slice(ORDER.indexOf(name) + 1);
    const before = lines.findIndex((l) => later.includes(/^ {2}(\w+):/.exec(l)?.[1]));
    lines.splice(before < 0 ? lines.length : before, 0, `  ${name}: ${value}`);
  }
}

/** lineDiff returns the lines of both texts, in order: [{op: ' ' | '-' | '+', text}]. */
export function lineDiff(before, after) {
  const [a, b] = [before, after].map((text) => (text.trim() === '' ? [] : text.replace(/\s+$/, '').split('\n')));
  const longest = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0)); // common lines from i and j on
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  }
  const out = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) out.push({ op: ' ', text: a[i++], j: j++ });
    else if (i < a.length && (j === b.length || longest[i + 1][j] >= longest[i][j + 1])) out.push({ op: '-', text: a[i++] });
    else out.push({ op: '+', text: b[j++] });
  }
  return out.map(({ op, text }) => ({ op, text }));
}

/** differing is how many lines of a difference are not the same; a line that replaces another counts once. */
export function differing(diff) {
  let [n, gone, come] = [0, 0, 0];
  for (const { op } of [...diff, { op: ' ' }]) {
    if (op === '-') gone++;
    else if (op === '+') come++;
    else {
      n += Math.max(gone, come);
      [gone, come] = [0, 0];
    }
  }
  return n;
}

/** idIn is the id that a rule's text gives it, '' if it has none. */
export const idIn = (text) => /^\s*(?:-\s+)?(?:\{\s*)?id:\s*["']?([A-Za-z0-9_-]+)/m.exec(text)?.[1] ?? '';

/** samePerson tells whether two names are one: the portal compares them so, too. */
export const samePerson = (a, b) => a.trim().toLowerCase() === b.trim().toLowerCase();

/** lineAt returns where a line of a text begins and ends. */
export function lineAt(text, line) {
  const lines = text.split('\n');
  const start = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
  return [start, start + (lines[line - 1]?.length ?? 0)];
}

/** kindOf tells what a change is: added, changed, removed, or restored to the rules file. */
export function kindOf(change) {
  if (change.remove) return 'remove';
  return change.before ? 'change' : 'add';
}

/** Delays that a guide stops at, in ms. */
export const STOPS = [0, 1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1200, 1800, 2700, 3600, 7200, 10_800, 14_400, 21_600, 28_800, 43_200, 86_400].map((s) => s * 1000);

/** placeOf is where a delay is on a scale of equally distant stops, 0 to 1. */
export function placeOf(ms) {
  const next = STOPS.findIndex((s) => s >= ms);
  if (next < 0) return 1;
  if (next === 0) return 0;
  return (next - 1 + (ms - STOPS[next - 1]) / (STOPS[next] - STOPS[next - 1])) / (STOPS.length - 1);
}

/** stopAt is the stop nearest to a place. */
export const stopAt = (place) => STOPS[Math.round(Math.min(Math.max(place, 0), 1) * (STOPS.length - 1))];

/** stopAfter is so many stops after a delay, or before it. */
export function stopAfter(ms, steps) {
  const at = steps > 0 ? STOPS.findLastIndex((s) => s <= ms) : STOPS.findIndex((s) => s >= ms);
  const from = at < 0 ? (steps > 0 ? 0 : STOPS.length) : at;
  return STOPS[Math.min(Math.max(from + steps, 0), STOPS.length - 1)];
}

/** rounded is a value in steps of the sensor's decimals. */
export const rounded = (value, decimals) => Number(value.toFixed(decimals));
