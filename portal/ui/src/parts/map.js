// The fleet map: one canvas with a cell per device, coloured by state or by one sensor.
import { css } from '../chart/palette.js';
import { h, setAttr } from '../core/dom.js';
import { createPainter, lookOf, rangeOf, scaleOf } from './cell.js';
import { at, group, placeSteady, spot } from './layout.js';
import { createTip } from './tip.js';

/** createMap makes the map; onScale(mode, scale) is told the scale of the sensor that it is coloured by, null for states. */
export function createMap(ctx, scope, { mode = 'state', onScale = () => {} } = {}) {
  const canvas = h('canvas', { class: 'map-canvas', tabindex: '0', role: 'application', 'aria-label': ctx.t('map.label') });
  const box = h('div', { class: 'map-box' }, canvas);
  const live = h('div', { class: 'sr-only', 'aria-live': 'polite' });
  const el = h('div', { class: 'map' }, box, live);
  const tip = createTip(ctx, scope, el, roomOf);
  const paintCells = createPainter();
  let layout = null;
  let placed = -1;
  let room = { width: 0, height: 0 }; // of the box; asked while others draw, it would have the page laid out once more
  let size = { width: 0, height: 0 }; // for which the layout is
  let tall = 0; // the box was, in a window of this size
  let values = [];
  let scale = null; // of values
  let giveBack = null;
  let focus = null; // device under the keyboard's cursor
  let building = '';

  function arrange() {
    const rows = building ? ctx.fleet.rows.filter((r) => r?.building === building) : ctx.fleet.rows;
    tall = Math.max(tall, size.height);
    layout = placeSteady(group(rows), size.width, size.height, tall);
    placed = ctx.fleet.placed();
  }

  function draw() {
    const { width, height } = room;
    if (width < 10 || height < 10) return;
    const wanted = ctx.view.building;
    if (width !== size.width || height !== size.height || placed !== ctx.fleet.placed() || wanted !== building) {
      size = { width, height };
      building = wanted;
      arrange();
      const scale = devicePixelRatio;
      canvas.width = width * scale;
      canvas.height = Math.max(layout.height, height) * scale;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${Math.max(layout.height, height)}px`;
    }
    paint();
  }

  function paint() {
    const g = canvas.getContext('2d');
    g.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    g.clearRect(0, 0, canvas.width, canvas.height);
    const look = { text: css('--text'), muted: css('--muted'), accent: css('--accent') };
    g.textBaseline = 'top';
    for (const title of layout.titles) {
      g.fillStyle = look.text;
      g.font = '600 13px system-ui, "Noto Sans CJK SC", sans-serif';
      g.fillText(title.name || ctx.t('building.none'), title.x, title.y + 3);
      const after = g.measureText(title.name || ctx.t('building.none')).width + 8;
      g.fillStyle = look.muted;
      g.font = '12px system-ui, sans-serif';
      g.fillText(ctx.fmt.count(title.count), title.x + after, title.y + 4);
    }
    g.font = '11px system-ui, sans-serif';
    g.fillStyle = look.muted;
    for (const f of layout.floors) g.fillText(ctx.t('floor', { n: f.floor }), f.x, f.top + 1);
    paintCells(g, layout, values, scale);
    if (focus) mark(g, look);
  }

  /** roomOf says of a device's room how many devices are in it, and between what the chosen sensor is there. */
  function roomOf(d) {
    const there = ctx.fleet.rows.filter((r) => r && r.building === d.building && r.floor === d.floor && r.room === d.room);
    const text = ctx.t('map.room', { room: d.room, n: ctx.fmt.count(there.length) });
    const range = mode === 'state' ? null : rangeOf(there, values);
    return range ? `${text} · ${ctx.t('map.room.range', { sensor: ctx.sensorName(mode), low: ctx.quantity(mode, range[0]), high: ctx.quantity(mode, range[1]) })}` : text;
  }

  function mark(g, look) {
    const s = spot(layout, focus);
    if (!s) return;
    g.strokeStyle = look.accent;
    g.lineWidth = 2;
    g.strokeRect(s.x - 2, s.y - 2, layout.cell + 3, layout.cell + 3);
  }

  function setMode(next) {
    mode = next;
    giveBack?.();
    giveBack = null;
    values = [];
    rescale();
    if (mode !== 'state') {
      giveBack = scope.subscribe(`sensor/${mode}`, ({ kind, data }) => {
        if (kind === 'snapshot') values = [];
        for (const part of kind === 'snapshot' ? data : [data]) for (const [i, v, unit] of part?.values ?? []) values[i] = unit === undefined ? v : null; // a value in an unknown unit has no colour
        rescale();
        dirty();
      });
    }
    dirty(true);
  }

  function rescale() {
    scale = mode === 'state' ? null : scaleOf(values);
    onScale(mode, scale);
  }

  function pointed(event) {
    const r = canvas.getBoundingClientRect();
    return layout ? at(layout, event.clientX - r.left, event.clientY - r.top) : null;
  }

  canvas.addEventListener('mousemove', (event) => tip.show(pointed(event), event.clientX, event.clientY));
  canvas.addEventListener('mouseleave', () => tip.hide());
  canvas.addEventListener('click', (event) => {
    const d = pointed(event);
    if (d) ctx.go('device', d.id);
    else floorAt(event);
  });
  /** floorAt opens the plan of the floor whose label was clicked. */
  function floorAt(event) {
    const r = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - r.left, event.clientY - r.top];
    const f = layout?.floors.find((one) => x >= one.x && x < one.x + 40 && y >= one.top && y < one.y);
    if (f) ctx.go('plan', '', { b: f.devices[0].building, f: f.floor });
  }

  canvas.addEventListener('blur', () => setFocus(null));
  canvas.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === 'Enter' && focus) ctx.go('device', focus.id);
    if (!step || !layout) return;
    event.preventDefault();
    const vertical = event.key === 'ArrowUp' || event.key === 'ArrowDown';
    setFocus(neighbour(step, vertical));
  });

  function neighbour(step, vertical) {
    const k = focus ? layout.floors.findIndex((f) => f.devices.includes(focus)) : -1;
    if (k < 0) return layout.floors[0]?.devices[0] ?? null;
    const f = layout.floors[k];
    const i = f.devices.indexOf(focus) + step * (vertical ? f.columns : 1);
    if (f.devices[i]) return f.devices[i];
    const next = layout.floors[k + step];
    return next ? next.devices[step > 0 ? 0 : next.devices.length - 1] : focus;
  }

  function setFocus(d) {
    focus = d;
    if (d) live.textContent = `${d.name || d.id}, ${ctx.place(d)}, ${ctx.stateText(d)}`;
    setAttr(canvas, 'data-focus', d?.id ?? null);
    dirty(true);
  }

  const dirty = scope.draw(draw, ['fleet', 'view', 'theme']);
  scope.listen(window, 'resize', () => (tall = 0));
  const watch = new ResizeObserver(() => {
    room = { width: box.clientWidth, height: box.clientHeight };
    dirty(true);
  });
  watch.observe(box);
  scope.onEnd(() => watch.disconnect());
  if (mode !== 'state') setMode(mode);
  return {
    el,
    setMode,
    mode: () => mode,
    /** look is what a device's cell shows, for those who test. */
    look: (id) => lookOf(ctx.fleet.byID.get(id), values[ctx.fleet.byID.get(id).index], scale),
    cell: () => layout?.cell,
    /** locate scrolls to a device's cell and returns its middle on the screen, for those who test. */
    locate(id) {
      const d = ctx.fleet.byID.get(id);
      const s = d && layout ? spot(layout, d) : null;
      if (s) box.scrollTop = s.y - box.clientHeight / 2;
      const r = canvas.getBoundingClientRect();
      return s ? { x: r.left + s.x + layout.cell / 2, y: r.top + s.y + layout.cell / 2 } : null;
    },
  };
}
