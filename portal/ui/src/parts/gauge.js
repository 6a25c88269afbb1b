// A value on an arc: grey, with colour only where a limit is known, and how far the next one is.
import { h, setText } from '../core/dom.js';
import { nextLimit } from '../model/rules.js';
import { gaugeRange, isNumber } from '../model/sensors.js';

const NS = 'http://www.w3.org/2000/svg';
const R = 44;

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

/** createGauge makes one; says(distance) puts the distance to the next limit into words. */
export function createGauge(label, says = () => '') {
  const svg = document.createElementNS(NS, 'svg');
  svg.setAttribute('viewBox', '0 0 100 84');
  svg.setAttribute('aria-hidden', 'true');
  const ground = path('gauge-ground');
  ground.setAttribute('d', arc(0, 1));
  const bar = path('gauge-bar');
  const ticks = document.createElementNS(NS, 'g');
  svg.append(ground, bar, ticks);
  const value = h('div', { class: 'gauge-value num' }, '–');
  const next = h('div', { class: 'gauge-next num', hidden: true });
  const el = h('div', { class: 'gauge' }, svg, value, h('div', { class: 'gauge-label' }, label), next);
  let shown = '';
  let least = Infinity; // of the values shown
  let most = -Infinity;
  return {
    el,
    /** update shows a sensor; info is its item of the catalogue. */
    update(sensor, text, limits, info) {
      setText(value, text);
      const v = isNumber(sensor) ? sensor.value : undefined;
      const ahead = typeof v === 'number' ? nextLimit(limits, v) : null;
      setText(next, ahead ? says(ahead.distance) : '');
      next.hidden = !ahead;
      const key = `${v} ${JSON.stringify(limits)}`;
      if (key === shown) return;
      shown = key;
      if (typeof v === 'number') {
        least = Math.min(least, v);
        most = Math.max(most, v);
      }
      const [low, high] = gaugeRange(info, limits, [least, most].filter(Number.isFinite));
      const place = (x) => Math.min(Math.max((x - low) / (high - low || 1), 0), 1);
      bar.setAttribute('d', typeof v === 'number' ? arc(0, Math.max(place(v), 0.005)) : '');
      bar.style.stroke = isNumber(sensor) && sensor.status && sensor.status !== 'normal' ? 'var(--high-fill)' : '';
      ticks.replaceChildren(...limits.map((l) => {
        const tick = path('gauge-limit');
        tick.setAttribute('d', arc(Math.max(place(l.value) - 0.008, 0), Math.min(place(l.value) + 0.008, 1)));
        tick.setAttribute('data-limit', `${l.operator}${l.value}`);
        tick.style.stroke = l.color ?? `var(--${l.severity}-text)`;
        return tick;
      }));
    },
  };
}
