// Limits and alarms for the charts and gauges of one device.
import { css } from '../chart/palette.js';

/** limitsOf returns a sensor's thresholds, of the rules and from the alarms of these devices. */
export function limitsOf(ctx, sensor, devices) {
  const seen = new Map(ctx.sensors.get(sensor).limits.map((l) => [l.value, { value: l.value, color: css(`--${l.severity}-text`) }]));
  for (const a of ctx.alarms.all.values()) {
    if (a.threshold?.parameter === sensor && devices.includes(a.device_id)) seen.set(a.threshold.value, { value: a.threshold.value, color: css(`--${a.severity}-text`) });
  }
  return [...seen.values()];
}

/** marksOf returns when alarms of these devices were raised. */
export function marksOf(ctx, sensor, devices) {
  return ctx.alarms
    .list((a) => a.threshold?.parameter === sensor && devices.includes(a.device_id))
    .map((a) => ({ time: a.raised_at || a.timestamp, color: css(`--${a.severity}-text`) }));
}
