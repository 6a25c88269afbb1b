// A trace: a course without axes: a line with gaps, from zero to the highest value, and a cursor.
import { blank, courseCanvas } from './canvas.js';
import { css } from './palette.js';

/** createTrace makes a canvas; onPoint(share or null) is called with where it is pointed at, 0 to 1. */
export function createTrace(onPoint = null) {
  const el = courseCanvas('trace', onPoint);
  let values = [];
  let cursor = null;

  function paint() {
    const sheet = blank(el);
    if (!sheet) return;
    const { g, width, height } = sheet;
    const top = Math.max(...values.filter((v) => v !== null), 0) || 1;
    const x = (i) => (i / Math.max(values.length - 1, 1)) * (width - 2) + 1;
    g.strokeStyle = css('--muted');
    g.fillStyle = css('--muted');
    g.lineWidth = 1;
    g.beginPath();
    values.forEach((v, i) => {
      if (v === null) return;
      const y = height - 2 - (v / top) * (height - 4);
      const begins = i === 0 || values[i - 1] === null;
      if (begins && (values[i + 1] ?? null) === null) g.fillRect(x(i) - 1, y - 1, 2, 2); // alone
      if (begins) g.moveTo(x(i), y);
      else g.lineTo(x(i), y);
    });
    g.stroke();
    if (cursor === null) return;
    g.strokeStyle = css('--accent');
    g.beginPath();
    g.moveTo(x(cursor), 0);
    g.lineTo(x(cursor), height);
    g.stroke();
  }

  return {
    el,
    /** set draws values (null: a gap) with a cursor at an index, or null. */
    set(next, at = null) {
      values = next;
      cursor = at;
      paint();
    },
  };
}
