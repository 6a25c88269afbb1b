// A value on an arc: grey, with colour only where a limit is known.
import { h, setText } from '../core/dom.js';

const NS = 'http://www.w3.org/2000/svg';
const R = 44;
/** Usual ranges of sensors, for an arc without limits. */
const SPANS = { '°C': [-20, 100], '%': [0, 100], hPa: [950, 1050], A: [0, 15] };

function arc(from, to) {
  const point = (f) => {
    const a = Math.PI * (0.8 + 1.4 * f);
    return [(50 + R * Math.cos(a)).toFixed(2), (52 + R * Math.sin(a)).toFixed(2)];
  };
  const [x1, y1] = point(from);
  const [x2, y2] = point(to);
  return `M${x1} ${y1}A${R} ${R} 0 ${(to - from) * 1.4 > 1 ? 1 : 0} 1 ${x2} ${y2}`;
}

function path(className) {
  const p = document.createElementNS(NS, 'path');
  p.setAttribute('class', className);
  return p;
}

export function createGauge(label) {
  const svg = document.createElementNS(NS, 'svg');
  svg.setAttribute('viewBox', '0 0 100 84');
  svg.setAttribute('aria-hidden', 'true');
  const ground = path('gauge-ground');
  ground.setAttribute('d', arc(0, 1));
  const bar = path('gauge-bar');
  const ticks = document.createElementNS(NS, 'g');
  svg.append(ground, bar, ticks);
  const value = h('div', { class: 'gauge-value num' }, '–');
  const el = h('div', { class: 'gauge' }, svg, value, h('div', { class: 'gauge-label' }, label));
  let shown = '';
  return {
    el,
    update(sensor, text, limits) {
      setText(value, text);
      const v = sensor?.value;
      const key = `${v} ${JSON.stringify(limits)}`;
      if (key === shown) return;
      shown = key;
      let [low, high] = SPANS[sensor?.unit] ?? [0, 1];
      for (const x of [v, ...limits.map((l) => l.value)]) {
        if (typeof x !== 'number') continue;
        low = Math.min(low, x);
        high = Math.max(high, x);
      }
      const place = (x) => Math.min(Math.max((x - low) / (high - low || 1), 0), 1);
      bar.setAttribute('d', typeof v === 'number' ? arc(0, Math.max(place(v), 0.005)) : '');
      bar.style.stroke = sensor?.status && sensor.status !== 'normal' ? 'var(--high-fill)' : '';
      ticks.replaceChildren(...limits.map((l) => {
        const tick = path('gauge-limit');
        tick.setAttribute('d', arc(Math.max(place(l.value) - 0.008, 0), Math.min(place(l.value) + 0.008, 1)));
        tick.style.stroke = l.color;
        return tick;
      }));
    },
  };
}
