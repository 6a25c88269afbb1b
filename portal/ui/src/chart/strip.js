// The strip below the charts: all of a range, small, with a window on it that a person moves and stretches.
import { css, series } from './palette.js';
import { extent, runs } from './runs.js';

const GRIP = 12; // px on either side of an edge that take hold of it
const PAD = 4;

/**
 * createStrip draws into a canvas in el. draw({time, lines, whole, view, looks}) shows lines between the times of whole, and
 * view as the window. onPan(by) and onEdge('from'|'to', at) are what a person wants.
 */
export function createStrip(el, label, { onPan, onEdge }) {
  const canvas = document.createElement('canvas');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', label);
  canvas.title = label;
  el.append(canvas);
  let shown = null;
  let held = null; // {what: 'pan'|'from'|'to', x}

  const x = (ms) => ((ms - shown.whole[0]) / (shown.whole[1] - shown.whole[0])) * canvas.clientWidth;
  const time = (px) => shown.whole[0] + (px / (canvas.clientWidth || 1)) * (shown.whole[1] - shown.whole[0]);

  /** grip returns what is at a place: an edge of the window, or all of it. */
  function grip(px) {
    const [a, b] = shown.view.map(x);
    const reach = Math.max(Math.min(GRIP, (b - a) / 3), 4);
    if (Math.abs(px - a) <= reach || (a < 0 && px < reach)) return 'from';
    if (Math.abs(px - b) <= reach) return 'to';
    return 'pan';
  }

  canvas.addEventListener('pointerdown', (e) => {
    if (!shown || e.button !== 0) return;
    held = { what: grip(e.offsetX), x: e.offsetX };
    canvas.setPointerCapture(e.pointerId);
    const [a, b] = shown.view.map(x);
    if (held.what === 'pan' && (e.offsetX < a || e.offsetX > b)) onPan(time(e.offsetX) - (shown.view[0] + shown.view[1]) / 2); // beside it: it comes here
  });
  canvas.addEventListener('pointermove', (e) => {
    if (!shown) return;
    if (!held) {
      canvas.style.cursor = grip(e.offsetX) === 'pan' ? 'grab' : 'ew-resize';
      return;
    }
    if (held.what === 'pan') onPan(time(e.offsetX) - time(held.x));
    else onEdge(held.what, time(e.offsetX));
    held.x = e.offsetX;
  });
  for (const type of ['pointerup', 'pointercancel']) canvas.addEventListener(type, () => (held = null));

  function paint() {
    const [width, height] = [el.clientWidth, el.clientHeight];
    if (!shown || width === 0) return;
    const dpr = devicePixelRatio;
    Object.assign(canvas, { width: width * dpr, height: height * dpr });
    const g = canvas.getContext('2d');
    g.scale(dpr, dpr);
    shown.lines.forEach((line, i) => paintLine(g, line, series(shown.looks[i]).color, height));
    const [a, b] = shown.view.map((ms) => Math.min(Math.max(x(ms), 0), width));
    g.fillStyle = css('--bg');
    g.globalAlpha = 0.65;
    g.fillRect(0, 0, a, height);
    g.fillRect(b, 0, width - b, height);
    g.globalAlpha = 1;
    g.fillStyle = g.strokeStyle = css('--accent');
    g.strokeRect(a + 0.5, 0.5, Math.max(b - a - 1, 1), height - 1);
    for (const edge of [a, b]) g.fillRect(Math.min(Math.max(edge - 2, 0), width - 4), height / 2 - 8, 4, 16);
  }

  /** paintLine draws a line over its own range: what counts here is where something happened. */
  function paintLine(g, line, color, height) {
    const [low, high] = extent([line], 0, line.length - 1);
    if (low === null) return;
    const y = (v) => (high === low ? height / 2 : height - PAD - ((v - low) / (high - low)) * (height - 2 * PAD));
    g.strokeStyle = g.fillStyle = color;
    for (const run of runs(line)) {
      if (run.length === 1) g.fillRect(x(shown.time[run[0]]) - 1, y(line[run[0]]) - 1, 2, 2);
      g.beginPath();
      for (const i of run) g.lineTo(x(shown.time[i]), y(line[i]));
      g.stroke();
    }
  }

  const watch = new ResizeObserver(paint);
  watch.observe(el);
  return {
    el,
    draw(next) {
      shown = next;
      paint();
    },
    destroy: () => watch.disconnect(),
  };
}
