// Lanes and partitions as heat strips, on the time axis and with the cursor of the stages.
import { createHeat } from '../chart/heat.js';
import { h, setAttr, setText } from '../core/dom.js';
import { shade, SHADES, topOf, worstOf } from '../model/pipeline.js';
import { panel } from './badge.js';

const COLUMNS = ['name', 'rate', 'lag', 'most', 'course'];

/** createStrips returns its element and draw(data, cursor) of the pipeline's data. point(share) is told where one looks. */
export function createStrips(ctx, point) {
  const { t, fmt } = ctx;
  const body = h('tbody');
  const none = h('p', { class: 'panel-note empty' }, t('strip.none'));
  const legend = h('span', { class: 'strip-legend panel-note' });
  const p = panel('strips', t('strip.title'), none, h('div', { class: 'scroller', tabindex: '0', role: 'group', 'aria-label': t('strip.title') },
    h('table', { class: 'strip-table' }, h('thead', {}, h('tr', {}, COLUMNS.map((c) => h('th', { scope: 'col' }, t(`strip.col.${c}`))))), body)));
  p.head.append(legend);
  const rows = new Map();

  function rowOf(s) {
    const heat = createHeat(point);
    const cells = { rate: h('td', { class: 'num' }), lag: h('td', { class: 'num' }), most: h('td', { class: 'num' }) };
    const el = h('tr', { 'data-strip': `${s.kind} ${s.number}` },
      h('th', { scope: 'row' }, t(`strip.${s.kind}`, { n: s.number }), h('span', { class: 'sub' }, t(`strip.${s.kind}.what`))),
      Object.values(cells), h('td', { class: 'strip-course' }, heat.el));
    return { el, heat, cells };
  }

  function draw(data, cursor) {
    const now = ctx.plant.serverNow();
    none.hidden = data.strips.length > 0;
    const tops = { lane: topOf(data.strips, 'lane'), partition: topOf(data.strips, 'partition') };
    const shown = new Set();
    for (const s of data.strips) {
      const key = `${s.kind} ${s.number}`;
      shown.add(key);
      if (!rows.has(key)) rows.set(key, rowOf(s));
      const row = rows.get(key);
      const at = cursor === null ? s : { rate: s.course.rate[cursor], lag: s.course.lag[cursor] };
      setText(row.cells.rate, at.rate === null || at.rate === undefined ? '–' : t('per.second', { n: fmt.rate(at.rate) }));
      setText(row.cells.lag, at.lag === null || at.lag === undefined ? '–' : fmt.count(at.lag));
      const worst = worstOf(s);
      setText(row.cells.most, worst ? fmt.count(worst.lag) : '–');
      setAttr(row.cells.most, 'title', worst ? t('strip.worst', { n: fmt.count(worst.lag), time: fmt.clock(data.from + worst.step * data.step_ms, now) }) : null);
      row.shades = s.course.lag.map((v) => shade(v, tops[s.kind]));
    }
    for (const [key, row] of rows) if (!shown.has(key)) (row.el.remove(), rows.delete(key));
    const order = data.strips.map((s) => rows.get(`${s.kind} ${s.number}`));
    order.forEach((row, i) => body.children[i] !== row.el && body.insertBefore(row.el, body.children[i] ?? null));
    for (const row of order) row.heat.set(row.shades, cursor);
    legend.replaceChildren(...Array.from({ length: SHADES + 1 }, (_, i) => h('i', { class: `strip-shade is-${i}`, 'aria-hidden': 'true' })), ' ',
      t('strip.legend', { n: fmt.count(Math.max(tops.lane, tops.partition)) }));
  }
  return { el: p.el, draw };
}
