// Limits across a chart, and alarms along its time axis.

const FONT = 11; // px
const EDGE = 3; // px from the edge at which a limit out of sight is shown
const MARK = 5; // px, half of a mark's size

/** included extends what a chart shows by the limits that are near: a far one would flatten the line. */
export function included([min, max], limits) {
  if (min === null) return [min, max];
  const reach = Math.max(max - min, 0.1 * Math.max(Math.abs(min), Math.abs(max)));
  let [low, high] = [min, max];
  for (const { value } of limits) {
    if (value > max && value - max < reach) high = Math.max(high, value);
    if (value < min && min - value < reach) low = Math.min(low, value);
  }
  return [low, high];
}

/**
 * drawLimits draws every limit: where it is, or at the edge beyond which it is, with an arrow. Returns what was drawn:
 * [{value, label, beyond: 'above'|'below'|''}].
 */
export function drawLimits(u, limits, ground) {
  const { ctx, bbox } = u;
  const dpr = devicePixelRatio;
  const [top, bottom] = [bbox.top, bbox.top + bbox.height];
  const taken = []; // where labels are
  ctx.save();
  ctx.font = `${FONT * dpr}px system-ui, sans-serif`;
  ctx.textAlign = 'right';
  ctx.textBaseline = 'middle';
  ctx.lineWidth = dpr;
  const drawn = limits.map(({ value, label = '', color }) => {
    const at = Math.round(u.valToPos(value, 'y', true));
    const beyond = at < top ? 'above' : at > bottom ? 'below' : '';
    const y = Math.min(Math.max(at, top + EDGE * dpr), bottom - EDGE * dpr);
    ctx.strokeStyle = color;
    ctx.setLineDash(beyond ? [dpr, 4 * dpr] : [5 * dpr, 4 * dpr]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    if (label || beyond) name(`${{ above: '↑ ', below: '↓ ', '': '' }[beyond]}${label || value}`, y, color);
    return { value, label, beyond };
  });
  ctx.restore();
  return drawn;

  /** name writes a limit's label at the right end of its line, left of those that are there already. */
  function name(text, y, color) {
    const height = (FONT + 3) * dpr;
    const width = ctx.measureText(text).width + 6 * dpr;
    const middle = Math.min(Math.max(y - height / 2 - dpr, top + height / 2), bottom - height / 2);
    const beside = taken.filter((b) => Math.abs(b.middle - middle) < height);
    const right = Math.min(bbox.left + bbox.width, ...beside.map((b) => b.left)) - 2 * dpr;
    if (right - width < bbox.left) return; // no room: the line is there, the legend names it
    taken.push({ middle, left: right - width });
    ctx.fillStyle = ground;
    ctx.globalAlpha = 0.8;
    ctx.fillRect(right - width, middle - height / 2, width, height);
    ctx.globalAlpha = 1;
    ctx.fillStyle = color;
    ctx.fillText(text, right - 3 * dpr, middle);
  }
}

/** drawMarks draws alarms at the time axis: filled when raised, hollow when cleared. */
export function drawMarks(u, marks, ground) {
  const { ctx, bbox } = u;
  const dpr = devicePixelRatio;
  ctx.save();
  ctx.lineWidth = 1.5 * dpr;
  for (const { time, color, severity, over } of marks) {
    const x = u.valToPos(time / 1000, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const y = bbox.top + bbox.height - (MARK + 2) * dpr;
    ctx.strokeStyle = color;
    if (!over) {
      ctx.globalAlpha = 0.5;
      ctx.fillStyle = color;
      ctx.fillRect(x - dpr / 2, bbox.top, dpr, bbox.height);
      ctx.globalAlpha = 1;
    }
    ctx.fillStyle = over ? ground : color;
    shape(ctx, severity, x, y, MARK * dpr);
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

/** shape makes the path of a severity's shape around a point. */
function shape(ctx, severity, x, y, r) {
  ctx.beginPath();
  if (severity === 'low') ctx.arc(x, y, r * 0.85, 0, 2 * Math.PI);
  else if (severity === 'medium') ctx.rect(x - r * 0.8, y - r * 0.8, 1.6 * r, 1.6 * r);
  else {
    const corners = severity === 'high' ? [[0, -1], [1, 0.8], [-1, 0.8]] : [[0, -1], [1, 0], [0, 1], [-1, 0]];
    corners.forEach(([dx, dy], i) => (i === 0 ? ctx.moveTo(x + dx * r, y + dy * r) : ctx.lineTo(x + dx * r, y + dy * r)));
    ctx.closePath();
  }
}
