// Charts as one picture for a report: with what is around them on the page, which a canvas alone lacks.
import { css } from './palette.js';

const PAD = 16;
const LINE = 20;
const FONT = 'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';

/**
 * compose returns a canvas with the texts and charts: {title, range, charts: [{title, legend: [{color, dash, text}], canvas}],
 * foot}. written(text), if given, hears of every text that is drawn.
 */
export function compose({ title, range, charts, foot }, written = () => {}) {
  const dpr = devicePixelRatio;
  const width = Math.max(...charts.map((c) => c.canvas.width / dpr), 480) + 2 * PAD;
  const out = document.createElement('canvas');
  const g = out.getContext('2d');
  const font = (size, weight = 400) => (g.font = `${weight} ${size}px ${FONT}`);
  font(13);
  const laid = charts.map((c) => ({ ...c, rows: flow(c.legend.map((l) => ({ ...l, width: g.measureText(l.text).width + 40 })), width - 2 * PAD) }));
  const height = 3 * PAD + 2 * LINE + laid.reduce((n, c) => n + LINE * (1 + c.rows.length) + c.canvas.height / dpr + PAD, 0) + LINE;
  Object.assign(out, { width: width * dpr, height: height * dpr });
  g.scale(dpr, dpr);
  g.fillStyle = css('--panel');
  g.fillRect(0, 0, width, height);
  g.textBaseline = 'top';
  const write = (text, x, y) => {
    g.fillText(text, x, y);
    written(text);
  };
  let y = PAD;
  g.fillStyle = css('--text');
  font(16, 600);
  write(title, PAD, y);
  font(13);
  g.fillStyle = css('--muted');
  write(range, PAD, (y += LINE + 2));
  y += LINE + PAD;
  for (const c of laid) {
    g.fillStyle = css('--text');
    font(14, 600);
    write(c.title, PAD, y);
    y += LINE;
    font(13);
    for (const row of c.rows) {
      let x = PAD;
      for (const l of row) {
        swatch(g, l, x, y + 8);
        g.fillStyle = css('--text');
        write(l.text, x + 26, y);
        x += l.width;
      }
      y += LINE;
    }
    g.drawImage(c.canvas, PAD, y, c.canvas.width / dpr, c.canvas.height / dpr);
    y += c.canvas.height / dpr + PAD;
  }
  g.fillStyle = css('--muted');
  write(foot, PAD, y);
  return out;
}

/** flow puts items of a width into rows. */
function flow(items, width) {
  const rows = [[]];
  let used = 0;
  for (const item of items) {
    if (used + item.width > width && rows.at(-1).length > 0) {
      rows.push([]);
      used = 0;
    }
    rows.at(-1).push(item);
    used += item.width;
  }
  return rows;
}

/** swatch draws a piece of a line as it is in the chart. */
function swatch(g, { color, dash, thin }, x, y) {
  g.save();
  g.strokeStyle = color;
  g.lineWidth = thin ? 1 : 2;
  g.setLineDash(dash ?? []);
  g.beginPath();
  g.moveTo(x, y);
  g.lineTo(x + 20, y);
  g.stroke();
  g.restore();
}
