// A heat strip: a course as shades of grey, so that it can be read without colour, with gaps and a cursor.
import { blank, courseCanvas } from './canvas.js';
import { css } from './palette.js';
import { SHADES } from '../model/pipeline.js';

/** createHeat makes a canvas; onPoint(share or null) is called with where it is pointed at, 0 to 1. */
export function createHeat(onPoint) {
  const el = courseCanvas('heat', onPoint);

  return {
    el,
    /** set draws shades (0 to SHADES, null: a gap) with a cursor at an index, or null. */
    set(shades, cursor) {
      const sheet = blank(el);
      if (!sheet) return;
      const { g, width, height } = sheet;
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
