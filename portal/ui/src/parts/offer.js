import { h } from '../core/dom.js';

/** offerSensors keeps the plant's sensors, and some more, among the options of a select; wanted is chosen once it is there. */
export function offerSensors(ctx, scope, select, kinds, { more = [], wanted = '' } = {}) {
  const fixed = [...select.children];
  let version = -1;
  let choice = wanted;
  scope.draw(() => {
    if (version === ctx.sensors.version()) return;
    version = ctx.sensors.version();
    const before = choice || select.value;
    const names = [...ctx.sensors.charted(kinds).map((s) => s.name), ...more];
    select.replaceChildren(...fixed, ...names.map((n) => h('option', { value: n }, ctx.sensorLabel(n))));
    if (!names.includes(before)) return;
    select.value = before;
    choice = '';
  }, ['sensors']);
}
