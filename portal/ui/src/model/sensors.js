// What kinds of sensors the plant has: names, units, decimals, limits. The source is the topic
// `sensors`. Values come in these units already; nothing here converts.

/** Sensors of the device itself, which no catalogue lists. */
const OWN = {
  battery: { name: 'battery', value: 'number', unit: '%', decimals: 0, min: 0, max: 100, limits: [] },
  signal_strength: { name: 'signal_strength', value: 'number', unit: 'dBm', decimals: 0, min: -120, max: 0, limits: [] },
};
/** A range wider than this many times the values seen makes a gauge useless. */
const WIDE = 20;

export const UNIT_UNKNOWN = 'unit_unknown';

/** isNumber reports whether a sensor's value is a number in a known unit. */
export const isNumber = (s) => typeof s?.value === 'number' && s.status !== UNIT_UNKNOWN;

/** isCharted reports whether a sensor's values can be a line: numbers, and switches as 0 and 1. */
export const isCharted = (s) => isNumber(s) || typeof s?.value === 'boolean';

export function createSensors() {
  let items = [];
  let byName = new Map();
  let version = 0;
  return {
    /** apply applies a frame of the topic. */
    apply({ kind, data }) {
      if (kind === 'lagged') return;
      items = (kind === 'snapshot' ? data[0] : data).items;
      byName = new Map(items.map((s) => [s.name, s]));
      version++;
    },
    /** version grows with every change. */
    version: () => version,
    /** get returns a sensor's item; for an unknown sensor one with its name alone. */
    get: (name) => byName.get(name) ?? OWN[name] ?? { name, value: 'number', unit: '', decimals: null, min: null, max: null, limits: [] },
    /** charted returns the sensors that devices have and that can be compared. */
    charted: (kinds = ['number', 'boolean']) => items.filter((s) => s.devices > 0 && kinds.includes(s.value)),
    all: () => items,
    /** order sorts names as the portal lists them: the contract's five first, then by name. */
    order(names) {
      const at = (n) => {
        const i = items.findIndex((s) => s.name === n);
        return i < 0 ? Infinity : i;
      };
      return [...names].sort((a, b) => at(a) - at(b) || (a < b ? -1 : 1));
    },
  };
}

/**
 * gaugeRange returns [low, high] for a value: around the limits of the rules, else the plausible
 * range unless it is far too wide, else around the values seen.
 */
export function gaugeRange(info, limits, seen) {
  const known = seen.filter((v) => typeof v === 'number');
  const marks = limits.map((l) => l.value);
  const lowest = Math.min(...known, ...marks);
  const highest = Math.max(...known, ...marks);
  const span = highest - lowest || Math.abs(highest) || 1;
  const plausible = Number.isFinite(info.min) && Number.isFinite(info.max) && info.min !== null && info.max !== null;
  if (marks.length === 0 && plausible && info.max - info.min <= WIDE * span) return [Math.min(info.min, lowest), Math.max(info.max, highest)];
  if (!Number.isFinite(lowest)) return plausible ? [info.min, info.max] : [0, 1];
  const low = lowest >= 0 && lowest - 0.25 * span < 0 ? 0 : lowest - 0.25 * span;
  return [low, highest + 0.25 * span];
}
