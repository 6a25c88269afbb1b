// Bands between two lines: what the readings of a step lie between, and what is expected of them.
import { runs } from './runs.js';

/** drawBand fills between low and high. A step that stands alone is an upright of its height; an outline keeps a narrow peak visible. */
export function drawBand(u, low, high, { fill, edge }) {
  const [first, last] = u.series[0].idxs ?? [0, -1];
  const { ctx } = u;
  const x = (i) => u.valToPos(u.data[0][i], 'x', true);
  const y = (v) => u.valToPos(v, 'y', true);
  ctx.fillStyle = fill;
  ctx.strokeStyle = edge;
  ctx.lineWidth = devicePixelRatio;
  for (const run of runs(low, first, last)) {
    if (run.every((i) => high[i] === low[i])) continue;
    ctx.beginPath();
    if (run.length === 1) {
      ctx.moveTo(x(run[0]), y(low[run[0]]));
      ctx.lineTo(x(run[0]), y(high[run[0]]));
      ctx.lineWidth = 3 * devicePixelRatio;
      ctx.stroke();
      ctx.lineWidth = devicePixelRatio;
      continue;
    }
    run.forEach((i, k) => (k === 0 ? ctx.moveTo(x(i), y(high[i])) : ctx.lineTo(x(i), y(high[i]))));
    for (let k = run.length - 1; k >= 0; k--) ctx.lineTo(x(run[k]), y(low[run[k]]));
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
  }
}
