// Alarms for the charts of one device.
import { css } from '../chart/palette.js';

/** marksOf returns when alarms of these devices were raised. */
export function marksOf(ctx, sensor, devices) {
  return ctx.alarms
    .list((a) => a.threshold?.parameter === sensor && devices.includes(a.device_id))
    .map((a) => ({ time: a.raised_at || a.timestamp, color: css(`--${a.severity}-text`) }));
}
