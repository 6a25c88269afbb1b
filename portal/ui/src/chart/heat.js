// A heat strip: a course as shades of grey, so that it can be read without colour, with gaps and a cursor.
import { css } from './palette.js';
import { h } from '../core/dom.js';
import { SHADES } from '../model/pipeline.js';

/** createHeat makes a canvas; onPoint(share or null) is called with where it is pointed at, 0 to 1. */
export function createHeat(onPoint) {
  const el = h('canvas', { class: 'heat', 'aria-hidden': 'true' });
  el.addEventListener('mousemove', (e) => {
    const r = el.getBoundingClientRect();
    onPoint(Math.min(Math.max((e.clientX - r.left) / r.width, 0), 1));
  });
  el.addEventListener('mouseleave', () => onPoint(null));

  return {
    el,
    /** set draws shades (0 to SHADES, null: a gap) with a cursor at an index, or null. */
    set(shades, cursor) {
      const { clientWidth: width, clientHeight: height } = el;
      if (width === 0) return;
      const scale = devicePixelRatio;
      if (el.width !== Math.round(width * scale)) el.width = Math.round(width * scale);
      if (el.height !== Math.round(height * scale)) el.height = Math.round(height * scale);
      const g = el.getContext('2d');
      g.setTransform(scale, 0, 0, scale, 0, 0);
      g.clearRect(0, 0, width, height);
      const ramp = [css('--stripe'), ...Array.from({ length: SHADES }, (_, i) => css(`--ramp-${i + 1}`))];
      const x = (i) => (i / shades.length) * width;
      for (let i = 0; i < shades.length; ) {
        let end = i + 1;
        while (end < shades.length && shades[end] === shades[i]) end++;
        if (shades[i] !== null) {
          g.fillStyle = ramp[shades[i]];
          g.fillRect(x(i), 0, x(end) - x(i), height);
        }
        i = end;
      }
      if (cursor === null) return;
      g.fillStyle = css('--accent');
      g.fillRect(x(cursor + 0.5), 0, 1, height);
    },
  };
}
