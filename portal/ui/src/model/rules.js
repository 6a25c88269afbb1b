// The rules in force, as core tells them: limits, delays and deadbands come in the units that values
// are shown in; nothing here decides which rule applies to a device.
import { get, query } from '../core/api.js';

/** An answer is used for as long: rules change while core runs. */
const FRESH = 30_000;
/** The kinds whose limit is on the scale of the value itself. */
const ON_VALUE = new Set(['high', 'high_high', 'low', 'low_low', 'battery_low', 'signal_weak']);

/** createRules keeps what the portal said about the rules of devices. */
export function createRules({ ask = get, now = () => Date.now() } = {}) {
  const held = new Map(); // device → {at, answer: a promise}
  let version = null;

  /** took drops all that was said by other rules. */
  function took(answer, entry, id) {
    if (version !== null && answer.version !== version) held.clear();
    version = answer.version;
    if (id) held.set(id, entry);
    return answer;
  }

  return {
    /** rulesOf returns {rules, version, …} of a device: those that apply to it. */
    rulesOf(id) {
      const known = held.get(id);
      if (known && now() - known.at < FRESH) return known.answer;
      const entry = { at: now() };
      entry.answer = ask(`/api/v1/rules${query({ device: id })}`).then((answer) => took(answer, entry, id));
      held.set(id, entry);
      entry.answer.catch(() => {
        if (held.get(id) === entry) held.delete(id); // ask again next time
      });
      return entry.answer;
    },
    /** rulesInForce returns all rules with what they did. */
    rulesInForce: async () => took(await ask('/api/v1/rules')),
  };
}

/** conditionsOf returns a rule's conditions: one or two. */
export const conditionsOf = (rule) => (rule.other ? [rule, rule.other] : [rule]);

/**
 * limitsOf returns the limits that rules have on the values of a sensor, the lowest first:
 * [{value, operator, severity, deadband, rule}]. Rates, deviations and the like have none.
 */
export function limitsOf(rules, sensor) {
  const out = [];
  for (const rule of rules) {
    if (rule.disabled) continue;
    for (const c of conditionsOf(rule)) {
      if (!ON_VALUE.has(c.kind) || c.parameter !== sensor || typeof c.limit !== 'number') continue;
      out.push({ value: c.limit, operator: c.operator, severity: rule.severity, deadband: c.deadband ?? 0, rule: rule.id });
    }
  }
  return out.sort((a, b) => a.value - b.value);
}

/**
 * nextLimit returns the limit that a value comes to first and how far it is: {limit, distance}; a
 * distance of 0 or less: beyond it, and then it is the last one that was passed. Null without limits.
 */
export function nextLimit(limits, value) {
  let best = null;
  for (const limit of limits) {
    const distance = limit.operator === '<' ? value - limit.value : limit.value - value;
    const nearer = best === null || (best.distance > 0 ? distance < best.distance : distance <= 0 && distance > best.distance);
    if (nearer) best = { limit, distance };
  }
  return best;
}

/** fits reports whether a rule's where chooses a device: {device_id, location, device_info}. */
export function fits(where, d) {
  const pattern = (p) => new RegExp(`^${p.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*')}$`);
  const any = (list, has) => !(list?.length > 0) || list.some(has);
  return any(where?.buildings, (b) => b === d.location?.building) && any(where?.floors, (f) => f === d.location?.floor)
    && any(where?.models, (m) => pattern(m).test(d.device_info?.model ?? '')) && any(where?.devices, (x) => pattern(x).test(d.device_id));
}

const TRIED = 3; // devices of which is asked whether a rule applies

/** sampleOf returns a device that a rule is for: the portal's, or one that measures its sensor, '' without any. */
export async function sampleOf(rule, ask = get, applies = rulesOf) {
  if (rule.sample || !rule.parameter || !(rule.devices > 0)) return rule.sample ?? '';
  const { buildings = [], floors = [] } = rule.where ?? {};
  const { items } = await ask(`/api/v1/devices${query({ sensor: rule.parameter, presence: 'online', building: buildings.length === 1 ? buildings[0] : '', floor: floors.length === 1 ? floors[0] : '', limit: 200 })}`);
  for (const d of items.filter((x) => fits(rule.where, x)).slice(0, TRIED)) {
    const { rules } = await applies(d.device_id); // of several rules of one type only one applies
    if (rules.some((r) => r.id === rule.id)) return d.device_id;
  }
  return '';
}

const shared = createRules();
export const { rulesOf, rulesInForce } = shared;

/** noisiest returns rules by how many alarms they raised, the disabled ones last. */
export const noisiest = (rules) => [...rules].sort((a, b) => Number(a.disabled) - Number(b.disabled) || (b.day?.raised ?? 0) - (a.day?.raised ?? 0) || (a.id < b.id ? -1 : 1));
