// What the finder offers for a text: things of the plant, ranked. Pure functions.
import { fold, matches, readWords } from './words.js';

const MOST = 30; // offers
const MOST_OF = { device: 12, room: 6, floor: 6, alarm: 6 };
const USUAL_MOST = 8;

/** The kinds in the order in which they are offered when they match equally well. */
export const KINDS = ['page', 'view', 'building', 'floor', 'room', 'gateway', 'alarm', 'rule', 'plan', 'device'];

/** placesOf returns the buildings, floors and rooms of rows: [{kind, title, device}], with any device of each. */
export function placesOf(rows) {
  const places = new Map();
  const put = (kind, key, device) => {
    if (!places.has(key)) places.set(key, { kind, device });
  };
  for (const d of rows) {
    if (!d || !d.building) continue;
    put('building', d.building, d);
    put('floor', `${d.building}\n${d.floor}`, d);
    if (d.room) put('room', `${d.building}\n${d.floor}\n${d.room}`, d);
  }
  return [...places.values()];
}

/** The words of a place are those of its level: a room is no match for a word of a device in it. */
const asPlace = (kind, d) => ({ id: '', name: '', building: d.building, floor: kind === 'building' ? NaN : d.floor, room: kind === 'room' ? d.room : '', model: '', gateway: '', tags: [] });

/** score says how well words match a title: equal, at its begin, at the begin of a word, inside; 0: not at all. */
export function score(title, words) {
  const text = fold(title);
  const whole = words.map((w) => w.text).join(' ');
  if (text === whole) return 4;
  if (!words.every((w) => text.includes(w.text))) return 0;
  if (text.startsWith(words[0].text)) return 3;
  return words.every((w) => new RegExp(`(^|[^\\p{L}\\p{N}])${w.text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`, 'u').test(text)) ? 2 : 1;
}

/**
 * find returns {offers: [{kind, title, …}], devices}: the best offers first, and how many devices match. things are {kind, title, also} of pages, views,
 * rules, gateways and alarms; also is a further text that they are found by. rows are devices, places those of placesOf.
 */
export function find(q, { things = [], places = [], rows = [] }) {
  const words = readWords(q);
  if (words.length === 0) return { offers: things.filter((x) => x.kind === 'page' || x.kind === 'view').slice(0, MOST), devices: 0 };
  const offers = [];
  const add = (x, s) => s > 0 && offers.push({ ...x, score: s });
  for (const x of things) add(x, score(x.title, words) || (x.also && score(x.also, words) > 0 ? 1 : 0));
  for (const p of places) {
    const d = asPlace(p.kind, p.device);
    if (matches(d, words)) add(p, placeScore(p, words));
  }
  let devices = 0;
  for (const d of rows) {
    if (!d || !matches(d, words)) continue;
    devices++;
    const s = Math.max(score(d.id, words), d.name ? score(d.name, words) : 0);
    offers.push({ kind: 'device', title: d.name || d.id, device: d, score: s || 0.5 });
  }
  return { offers: best(offers), devices };
}

/** placeScore prefers the place that the words name to the end: "B栋 702" is a room, "B栋" a building. */
function placeScore({ kind, device: d }, words) {
  const texts = { building: [d.building], floor: [d.building, `${d.floor}`], room: [d.building, `${d.floor}`, d.room] }[kind].map(fold);
  const last = texts.at(-1);
  const named = words.some((w) => (kind === 'floor' ? w.floor === d.floor : w.text === last));
  return named ? 3.5 : kind === 'building' ? 2 : 0.75;
}

function best(offers) {
  const order = (x) => KINDS.indexOf(x.kind);
  const seen = {};
  return offers
    .map((x, i) => [x, i])
    .sort(([a, i], [b, j]) => b.score - a.score || order(a) - order(b) || i - j)
    .map(([x]) => x)
    .filter((x) => (seen[x.kind] = (seen[x.kind] ?? 0) + 1) <= (MOST_OF[x.kind] ?? USUAL_MOST))
    .slice(0, MOST);
}
