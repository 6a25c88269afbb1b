// A line of the last minute, without axes.
import { setAttr } from '../core/dom.js';

const NS = 'http://www.w3.org/2000/svg';

export function createSparkline() {
  const el = document.createElementNS(NS, 'svg');
  el.setAttribute('class', 'spark');
  el.setAttribute('viewBox', '0 0 100 24');
  el.setAttribute('preserveAspectRatio', 'none');
  el.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(NS, 'polyline');
  line.setAttribute('fill', 'none');
  line.setAttribute('stroke', 'currentColor');
  line.setAttribute('vector-effect', 'non-scaling-stroke');
  el.append(line);
  return {
    el,
    draw(values) {
      const top = Math.max(...values, 1);
      const step = 100 / Math.max(values.length - 1, 1);
      setAttr(line, 'points', values.map((v, i) => `${(i * step).toFixed(1)},${(22 - (v / top) * 20).toFixed(1)}`).join(' '));
    },
  };
}
