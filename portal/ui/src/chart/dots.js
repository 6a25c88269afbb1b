// Readings as dots.
import { runs } from './runs.js';

const ROOM = 6; // px that a reading needs to be drawn as a dot

/**
 * dots returns the points of a line to draw as dots: those that stand alone, as no line shows them,
 * and readings (from the time single on, in ms) if there is room.
 */
export function dots(u, k, single) {
  const [first, last] = u.series[0].idxs ?? [0, -1];
  const all = runs(u.data[k], first, last);
  const alone = all.filter((run) => run.length === 1).map((run) => run[0]);
  const readings = all.flat().filter((i) => u.data[0][i] * 1000 > single);
  if (readings.length > u.bbox.width / devicePixelRatio / ROOM) return alone;
  return [...new Set([...alone, ...readings])].sort((a, b) => a - b);
}
