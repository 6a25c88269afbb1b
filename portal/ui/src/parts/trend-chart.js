// One sensor on the trends page: its lines under the shared cursor, and the values there.
import { createLine } from '../chart/line.js';
import { series } from '../chart/palette.js';
import { h, setAttr, setText } from '../core/dom.js';
import { nearest, valueAt } from '../model/series.js';

const NEAR = 6; // px between the cursor and an alarm of which it tells

/** createTrendChart makes the panel of a sensor; it is drawn once mount() was called. */
export function createTrendChart(ctx, feed, sensor, { names, gestures, onZoom, onReset, onHover }) {
  const { t } = ctx;
  const count = feed.lines().length;
  const legend = h('div', { class: 'trend-legend num', 'data-legend': sensor });
  const box = h('div', { class: 'chart' });
  const title = h('h2', { class: 'panel-title' });
  const unit = h('span', { class: 'panel-note' });
  const el = h('section', { class: 'panel trend' }, h('header', { class: 'panel-head' }, title, unit, legend), box);
  const c = { el, sensor, legend, chart: null, data: null, limits: [], marks: [], range: [0, 1] };

  function name() { // the catalogue may come later than the chart
    setText(title, ctx.sensorName(sensor));
    setText(unit, ctx.sensors.get(sensor).unit);
    setAttr(el, 'aria-label', ctx.sensorName(sensor));
  }

  /** text is a number with the sensor's decimals, without its unit. */
  const text = (v) => ctx.fmt.value({ value: v }, ctx.sensors.get(sensor).decimals);

  /** between is what the readings of a step lie between, '' if it is one value. */
  function between(k, i) {
    const [low, high] = [valueAt(c.data.min[k], i), valueAt(c.data.max[k], i)];
    return low === high || low === null ? '' : `(${text(low)}–${text(high)})`;
  }

  function item(k, i) {
    const v = valueAt(c.data.lines[k], i);
    const isThin = k >= count;
    const mark = h('span', { class: `swatch${isThin ? ' is-thin' : ''}`, 'aria-hidden': 'true' });
    mark.style.background = series(k % count).color;
    const about = isThin ? { 'data-compare': feed.lines()[k % count].key } : { 'data-device': feed.lines()[k].key };
    return h('span', { class: 'legend-item', title: `${names(k % count)}${isThin ? ` ${ago(ctx, feed)}` : ''}`, 'data-value': v === null ? '' : String(v), ...about },
      mark, isThin ? text(v) : ctx.quantity(sensor, v), h('span', { class: 'panel-note' }, between(k, i)));
  }

  /** alarmAt says which alarm is at the cursor. */
  function alarmAt(at) {
    const reach = ((c.range[1] - c.range[0]) / Math.max(c.chart.width(), 1)) * NEAR;
    const m = c.marks.findLast((x) => Math.abs(x.time - at) <= reach);
    if (!m) return null;
    return h('span', { class: 'trend-alarm' }, `${m.over ? '◇' : '◆'} ${ctx.deviceName(m.alarm.device_id)} ${ctx.typeText(m.alarm.alert_type)} ${t(`event.${m.over ? 'cleared' : 'raised'}`)} ${ctx.fmt.clock(m.time, ctx.plant.serverNow())}`);
  }

  return Object.assign(c, {
    mount() {
      c.chart = createLine(box, {
        lines: [...feed.lines().map(lineOf), ...(feed.shift() ? feed.lines().map((l, i) => ({ ...lineOf(l, i), thin: true })) : [])],
        sync: 'trends',
        band: true,
        range: ctx.sensors.get(sensor).value === 'boolean' ? [-0.2, 1.2] : undefined,
        limits: () => c.limits,
        marks: () => c.marks,
        gestures,
        onZoom,
        onReset,
        onHover,
      });
    },
    draw(from, to) {
      c.range = [from, to];
      c.data = feed.columns(sensor, from, to);
      c.limits = feed.limits(sensor);
      c.marks = feed.marks(sensor, from, to);
      name();
      c.chart.setRange(from, to);
      c.chart.setData(c.data);
    },
    /** read shows the values at a time, the newest without one. */
    read(at) {
      if (!c.data) return;
      const i = at === null ? c.data.time.length - 1 : nearest(c.data.time, at);
      const time = c.data.time[i];
      const said = (text) => h('span', { class: 'panel-note' }, text);
      const items = c.data.lines.map((line, k) => (line.some(isValue) ? item(k, i) : null));
      if (feed.shift()) items.splice(count, 0, said(ago(ctx, feed)));
      c.legend.replaceChildren(...[said(time ? ctx.fmt.clock(time, ctx.plant.serverNow()) : ''), ...items, at === null ? null : alarmAt(at)].filter(Boolean));
    },
    title: () => ctx.sensorLabel(sensor),
    destroy: () => c.chart?.destroy(),
  });
}

const isValue = (v) => v !== undefined && v !== null;

/** lineOf is a line for the chart. What a building's devices lie between is told, not drawn: it would flatten every line. */
const lineOf = (l, i) => ({ label: l.key, look: i, band: !l.building });

/** ago is the name of the other day. */
export const ago = (ctx, feed) => ctx.t(feed.shift() > 86_400_000 ? 'trends.week' : 'trends.yesterday');
