// The line of figures: devices, alarms, readings per second, latency.
import { h, setAttr, setText } from '../../core/dom.js';
import { count, millis, rate } from '../../core/format.js';
import { drawSparkline } from './sparkline.js';

export function createFigures(ctx) {
  const tile = (name) => {
    const label = h('span', { class: 'tile-label' });
    const big = h('span', { class: 'tile-value num' });
    const small = h('span', { class: 'tile-note num' });
    return { label, big, small, el: h('div', { class: `tile tile-${name}` }, label, h('div', { class: 'tile-line' }, big, small)) };
  };
  const devices = tile('devices');
  const alarms = tile('alarms');
  const readings = tile('readings');
  const latency = tile('latency');
  const spark = h('canvas', { class: 'spark', 'aria-hidden': 'true' });
  readings.el.querySelector('.tile-line').append(spark);
  const history = []; // readings per second, one value for each answer of the API

  let seen = null;
  function draw() {
    const { t, store } = ctx;
    setAttr(el, 'aria-label', t('figures.label'));
    setText(devices.label, t('figures.devices'));
    setText(alarms.label, t('figures.alarms'));
    setText(readings.label, t('figures.readings'));
    const s = store.state.stats;
    setText(latency.label, t(s && !s.latency_ms.to_socket ? 'figures.latency.portal' : 'figures.latency'));
    if (!s) {
      for (const tl of [devices, alarms, readings, latency]) setText(tl.big, '–');
      return;
    }
    if (s !== seen) {
      seen = s;
      history.push(s.readings.per_second);
      if (history.length > 120) history.shift();
    }
    setText(devices.big, count(s.devices.total));
    const parts = [t('figures.online', { n: count(s.devices.online) }), t('figures.offline', { n: count(s.devices.offline) })];
    if (s.devices.unknown) parts.push(t('figures.unknown', { n: count(s.devices.unknown) }));
    setText(devices.small, parts.join(' · '));
    setText(alarms.big, count(s.alerts.active));
    setText(alarms.small, t('figures.kept', { n: count(s.alerts.kept - s.alerts.active) }));
    setText(readings.big, t('figures.rate', { n: rate(s.readings.per_second) }));
    setText(readings.small, t('figures.pushed', { n: rate(s.pushed.per_second), clients: count(s.clients.open) }));
    const l = s.latency_ms.to_socket ?? s.latency_ms.to_portal;
    setText(latency.big, l ? millis(l.mean) : '–');
    setText(latency.small, l ? `p50 ${millis(l.p50)} · ${t('figures.p99', { n: millis(l.p99) })}` : t('figures.none'));
    drawSparkline(spark, history);
  }

  const el = h('section', { class: 'figures' }, devices.el, alarms.el, readings.el, latency.el);
  ctx.component(draw, ['stats', 'theme']);
  return el;
}
