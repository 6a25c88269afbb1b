// The rules in force for a device, and the limits that they have on its sensors' values.
import { get, query } from '../core/api.js';

const KEPT = 15_000; // ms
const LIMITS = ['high', 'high_high', 'low', 'low_low', 'battery_low', 'signal_weak'];
const known = new Map(); // device → {at, rules}

/** rulesOf returns the rules that apply to a device. */
export async function rulesOf(deviceId) {
  const old = known.get(deviceId);
  if (old && Date.now() - old.at < KEPT) return old.rules;
  const { rules } = await get(`/api/v1/rules${query({ device: deviceId })}`);
  known.set(deviceId, { at: Date.now(), rules });
  return rules;
}

/** limitsOf returns the limits on the values of a sensor: [{value, operator, severity, deadband, rule}]. */
export function limitsOf(rules, sensor) {
  return rules.filter((r) => r.parameter === sensor && LIMITS.includes(r.kind)).map((rule) => ({ value: rule.limit, operator: rule.operator, severity: rule.severity, deadband: rule.deadband ?? 0, rule }));
}
