// What the small drawings of courses share: a canvas that is as large as it is shown, and pointing at it.
import { h } from '../core/dom.js';

/** courseCanvas makes one; onPoint(share or null), if given, is called with where it is pointed at, 0 to 1. */
export function courseCanvas(name, onPoint) {
  const el = h('canvas', { class: name, 'aria-hidden': 'true' });
  if (onPoint) {
    el.addEventListener('mousemove', (e) => {
      const r = el.getBoundingClientRect();
      onPoint(Math.min(Math.max((e.clientX - r.left) / r.width, 0), 1));
    });
    el.addEventListener('mouseleave', () => onPoint(null));
  }
  return el;
}

/** blank empties a canvas in the size in which it is shown: {g, width, height} in CSS pixels, null if it is not shown. */
export function blank(el) {
  const { clientWidth: width, clientHeight: height } = el;
  if (width === 0) return null;
  const scale = devicePixelRatio;
  if (el.width !== Math.round(width * scale)) el.width = Math.round(width * scale);
  if (el.height !== Math.round(height * scale)) el.height = Math.round(height * scale);
  const g = el.getContext('2d');
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, width, height);
  return { g, width, height };
}
