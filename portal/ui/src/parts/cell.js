// What a cell of the fleet map looks like. Its fill says that an alarm holds, its outline that one is over and
// unseen, its hatching that the device is offline, its clock that it is under maintenance, and its ground the state or the
// chosen sensor.
import { css } from '../chart/palette.js';
import { PRIORITIES } from '../model/fleet.js';

export const RAMP = 5; // greys of a sensor's scale

/**
 * lookOf returns a cell's look: ground (cell, dim, offline, or 1 to RAMP), fill and outline (a severity or ''), hatched, maintained.
 * scale is that of the values in the map, null when states are shown.
 */
export function lookOf(d, value, scale) {
  const hatched = d.state === 2;
  return { ground: hatched ? 'offline' : groundOf(d, value, scale), fill: PRIORITIES[d.priority] ?? '', outline: PRIORITIES[d.over] ?? '', hatched, maintained: d.maintenance > 0 };
}

function groundOf(d, value, scale) {
  if (d.state !== 1) return 'dim';
  if (!scale) return 'cell';
  return isValue(value) ? scale.step(value) : 'dim';
}

export const isValue = (v) => typeof v === 'number' || typeof v === 'boolean';

/** scaleOf returns the scale of values: from low to high in RAMP steps, without the outermost 2 % at either end; null without any value. */
export function scaleOf(values) {
  const known = values.filter(isValue).map(Number).sort((a, b) => a - b);
  if (known.length === 0) return null;
  const low = known[Math.floor(known.length * 0.02)];
  const high = known[Math.floor((known.length - 1) * 0.98)];
  const span = high - low || 1;
  return { low, high, step: (v) => Math.min(Math.max(Math.floor(((Number(v) - low) / span) * RAMP), 0), RAMP - 1) + 1 };
}

/** rangeOf returns [lowest, highest] of the values of devices, null without any. */
export function rangeOf(devices, values) {
  const known = devices.map((d) => values[d.index]).filter(isValue).map(Number);
  return known.length === 0 ? null : [Math.min(...known), Math.max(...known)];
}

const SHAPED = 7; // px of a cell from which on a severity has its shape

/** createPainter returns paint(layout, values, scale), which draws all cells of a map. */
export function createPainter() {
  let made = '';
  let look = null;

  /** dress makes colours, patterns and shapes anew when the theme, the size of cells or the screen's scale changed. */
  function dress(g, size, scale) {
    const key = [document.documentElement.dataset.theme, size, scale].join();
    if (key === made) return;
    made = key;
    look = { ground: { cell: css('--cell'), dim: css('--dim'), offline: hatch(g, css('--offline'), css('--panel')) }, line: {}, shape: {}, clock: clock(size, scale) };
    for (let n = 1; n <= RAMP; n++) look.ground[n] = css(`--ramp-${n}`);
    for (const name of PRIORITIES.slice(1)) {
      look.line[name] = css(`--${name}-text`);
      for (const hatched of [false, true]) look.shape[name + hatched] = shape(name, size, scale, hatched);
    }
  }

  return function paint(g, layout, values, scale) {
    const inner = Math.max(layout.cell - 1, 2);
    dress(g, inner, devicePixelRatio);
    const grounds = new Map();
    const filled = [];
    const outlined = [];
    const clocks = [];
    for (const f of layout.floors) {
      f.devices.forEach((d, i) => {
        const x = f.x + (i % f.columns) * layout.cell;
        const y = f.y + Math.floor(i / f.columns) * layout.cell;
        const l = lookOf(d, values[d.index], scale);
        if (l.fill) filled.push([look.shape[l.fill + l.hatched], x, y]);
        if (l.maintained) clocks.push([x, y]);
        if (l.outline) outlined.push([look.line[l.outline], x, y]);
        if (l.fill && !l.hatched) return; // its shape stands on bare ground
        if (!grounds.has(l.ground)) grounds.set(l.ground, []);
        grounds.get(l.ground).push(x, y);
      });
    }
    for (const [ground, list] of grounds) { // few fills are fast
      g.fillStyle = look.ground[ground];
      for (let i = 0; i < list.length; i += 2) g.fillRect(list[i], list[i + 1], inner, inner);
    }
    for (const [sprite, x, y] of filled) g.drawImage(sprite, x, y, inner, inner);
    for (const [x, y] of clocks) g.drawImage(look.clock, x, y, inner, inner);
    const width = inner >= SHAPED ? 2 : 1;
    g.lineWidth = width;
    for (const [line, x, y] of outlined) {
      g.strokeStyle = g.fillStyle = line;
      if (inner < 3) g.fillRect(x, y, inner, 1); // an outline would leave nothing of the fill
      else g.strokeRect(x + width / 2, y + width / 2, inner - width, inner - width);
    }
  };
}

/** shape draws a severity once: told apart by its outline alone, and hatched for what is offline. */
function shape(name, size, scale, hatched) {
  const sprite = document.createElement('canvas');
  sprite.width = sprite.height = Math.round(size * scale);
  const g = sprite.getContext('2d');
  g.scale(sprite.width / size, sprite.height / size);
  g.fillStyle = css(`--${name}-fill`);
  g.strokeStyle = css(`--${name}-text`);
  g.lineWidth = size >= 12 ? 1.5 : 1;
  g.lineJoin = 'round';
  outline(g, size < SHAPED ? 'medium' : name, size, g.lineWidth / 2);
  g.fill();
  if (size > 3) g.stroke();
  if (!hatched) return sprite;
  g.strokeStyle = css('--text');
  g.lineWidth = 1;
  g.beginPath();
  for (let at = -size; at < size; at += 4) {
    g.moveTo(at, size);
    g.lineTo(at + size, 0);
  }
  g.stroke();
  return sprite;
}

function outline(g, name, s, e) {
  const m = s / 2;
  g.beginPath();
  if (name === 'low') g.arc(m, m, m - e, 0, 2 * Math.PI);
  else {
    const points = { critical: [[m, e], [s - e, m], [m, s - e], [e, m]], high: [[m, e], [s - e, s - e], [e, s - e]], medium: [[e, e], [s - e, e], [s - e, s - e], [e, s - e]] }[name];
    points.forEach(([x, y], i) => (i === 0 ? g.moveTo(x, y) : g.lineTo(x, y)));
    g.closePath();
  }
}

/** clock draws the mark of a device under maintenance once: hatched across, and a clock where there is room. */
function clock(size, scale) {
  const sprite = document.createElement('canvas');
  sprite.width = sprite.height = Math.round(size * scale);
  const g = sprite.getContext('2d');
  g.scale(sprite.width / size, sprite.height / size);
  g.strokeStyle = css('--text');
  g.globalAlpha = 0.5;
  g.beginPath();
  for (let at = 0; at < 2 * size; at += 4) {
    g.moveTo(at, 0);
    g.lineTo(at - size, size);
  }
  g.stroke();
  if (size < SHAPED) return sprite;
  const m = size / 2;
  const r = m * 0.7;
  g.globalAlpha = 1;
  g.fillStyle = css('--panel');
  g.beginPath();
  g.arc(m, m, r, 0, 2 * Math.PI);
  g.fill();
  g.moveTo(m, m - r * 0.65);
  g.lineTo(m, m);
  g.lineTo(m + r * 0.5, m);
  g.stroke();
  return sprite;
}

/** hatch is a pattern of slanted lines. */
function hatch(g, line, ground) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 4;
  const c = tile.getContext('2d');
  c.fillStyle = ground;
  c.fillRect(0, 0, 4, 4);
  c.strokeStyle = line;
  c.lineWidth = 1.4;
  c.beginPath();
  for (const shift of [-4, 0, 4]) {
    c.moveTo(shift, 4);
    c.lineTo(shift + 4, 0);
  }
  c.stroke();
  return g.createPattern(tile, 'repeat');
}
