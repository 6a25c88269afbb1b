// The fleet map with what it can be coloured by, and a legend of all that a cell can say.
import { glyph, h, setText } from '../core/dom.js';
import { SEVERITIES } from '../model/alarms.js';
import { panel } from './badge.js';
import { createBuildings } from './buildings.js';
import { createPainter, RAMP } from './cell.js';
import { inAddress } from './choice.js';
import { createMap } from './map.js';
import { offerSensors } from './offer.js';

export function createFleetPanel(ctx, scope) {
  const { t } = ctx;
  const scale = createScale(ctx);
  const key = legend(ctx);
  const map = createMap(ctx, scope, { onScale: scale.show });
  const mode = h('select', { class: 'control is-small', 'aria-label': t('map.colour'), title: t('map.colour') }, h('option', { value: 'state' }, t('map.colour.state')));
  offerSensors(ctx, scope, mode, ['number', 'boolean'], ['battery', 'signal_strength']);

  function colour(name) {
    key.colour(name);
    map.setMode(name);
  }

  key.colour('state');
  scope.draw(() => key.maintained(ctx.fleet.rows.some((d) => d?.maintenance)), ['fleet', 'slow']);
  inAddress(ctx, mode, 'map', 'state', colour);
  const p = panel('fleet', t('map.title'), map.el);
  p.head.append(h('span', { class: 'panel-space' }), scale.el, key.el, mode);
  p.el.append(createBuildings(ctx, scope));
  Object.assign(ctx.debug, { map, createPainter });
  return p.el;
}

/** createScale is the scale of a sensor's greys, with its numbers. */
function createScale(ctx) {
  const low = h('span', { class: 'num' });
  const high = h('span', { class: 'num' });
  const steps = Array.from({ length: RAMP }, (_, i) => {
    const el = h('span', { class: 'scale-step', 'aria-hidden': 'true' });
    el.style.background = `var(--ramp-${i + 1})`;
    return el;
  });
  const el = h('span', { class: 'legend map-scale', hidden: true, title: ctx.t('map.scale') }, low, h('span', { class: 'scale-steps' }, steps), high);
  return {
    el,
    show(mode, scale) {
      el.hidden = !scale;
      if (!scale) return;
      const known = ctx.sensors.get(mode);
      const boolean = known.value === 'boolean';
      setText(low, boolean ? ctx.t('switch.off') : ctx.fmt.value({ value: scale.low }, known.decimals));
      setText(high, boolean ? ctx.t('switch.on') : ctx.quantity(mode, scale.high));
    },
  };
}

function legend(ctx) {
  const { t } = ctx;
  const item = (name, text, ...mark) => h('span', { class: `legend-item legend-${name}` }, ...mark, text);
  const swatch = (name) => h('span', { class: `swatch swatch-${name}`, 'aria-hidden': 'true' });
  const online = item('online', t('state.online'), swatch('online'));
  const maintained = item('maintenance', t('quick.maintenance'), h('span', { 'aria-hidden': 'true' }, '◷ '));
  const el = h('span', { class: 'legend' },
    item('holds', t('map.holds'), SEVERITIES.map((s) => glyph(s))),
    item('over', t('map.over'), swatch('over')),
    online,
    item('offline', t('state.offline'), swatch('offline')),
    item('unknown', t('state.unknown'), swatch('unknown')),
    maintained);
  return { el, colour: (mode) => (online.hidden = mode !== 'state'), maintained: (any) => (maintained.hidden = !any) };
}
