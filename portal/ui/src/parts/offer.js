// The plant's sensors as the options of a select.
import { h } from '../core/dom.js';
import { wanted } from './choice.js';

/** offerSensors keeps the plant's sensors, and some more, among the options of a select. */
export function offerSensors(ctx, scope, select, kinds, more = []) {
  const fixed = [...select.children];
  let version = -1;
  scope.draw(() => {
    if (version === ctx.sensors.version()) return;
    version = ctx.sensors.version();
    const before = wanted(select);
    const names = [...ctx.sensors.charted(kinds).map((s) => s.name), ...more];
    select.replaceChildren(...fixed, ...names.map((n) => h('option', { value: n }, ctx.sensorLabel(n))));
    if (names.includes(before)) select.value = before;
  }, ['sensors']);
}
