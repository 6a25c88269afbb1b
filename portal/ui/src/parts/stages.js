// The stages between a device and a screen with their last hour, on one time axis with one cursor.
import { createTrace } from '../chart/trace.js';
import { get, query } from '../core/api.js';
import { h, setAttr, setClass, setText } from '../core/dom.js';
import { extend, figuresAt } from '../model/pipeline.js';
import { panel } from './badge.js';
import { createStrips } from './strips.js';

const EVERY = 5000;
const COLUMNS = ['rate', 'ms', 'lag'];
const RANGES = ['1h', '6h'];

/** createStages returns two panels with one time axis: the stages, and the lanes and partitions. */
export function createStages(ctx, scope, route) {
  const { t, fmt } = ctx;
  const body = h('tbody');
  const slowest = h('span', { class: 'panel-note', 'data-slowest': '' });
  const when = h('span', { class: 'panel-note num' });
  let range = RANGES.includes(route.params.range) ? route.params.range : RANGES[0];
  const choice = h('div', { class: 'stage-range', role: 'group', 'aria-label': t('stage.range') },
    RANGES.map((r) => h('button', { class: 'button is-small', 'data-range': r, 'aria-pressed': String(r === range), onclick: () => choose(r) }, t(`stage.${r}`))));
  const back = () => t(range === RANGES[0] ? 'stage.hour' : 'stage.hours');
  const courses = [];
  const p = panel('stages', t('system.pipe'), h('div', { class: 'scroller', tabindex: '0', role: 'group', 'aria-label': t('system.pipe') },
    h('table', { class: 'stage-table' },
      h('thead', {}, h('tr', {}, ['stage', 'rate', 'rate.course', 'ms', 'ms.course', 'lag', 'lag.course'].map((c) => {
        const th = h('th', { scope: 'col' }, c.endsWith('.course') ? back() : t(`stage.col.${c}`));
        if (c.endsWith('.course')) courses.push(th);
        return th;
      }))),
      body)));
  p.head.append(slowest, h('span', { class: 'panel-space' }), when, choice);
  const strips = createStrips(ctx, (share) => point(share));
  let data = null;
  let cursor = null; // step
  const rows = new Map(); // stage → its cells

  function point(share) {
    cursor = share === null || !data ? null : Math.round(share * (data.stages[0].course.rate.length - 1));
    draw();
  }

  function rowOf(s) {
    const cells = Object.fromEntries(COLUMNS.map((c) => [c, { text: h('td', { class: 'num' }), course: createTrace(point) }]));
    const mark = h('span', { class: 'stage-mark', hidden: true }, t('stage.slowest'));
    const el = h('tr', { 'data-stage': s.stage }, h('th', { scope: 'row' }, h('span', { class: 'stage-name' }, t(`stage.${s.stage}`)), mark, h('span', { class: 'sub' }, t(`stage.${s.stage}.what`))),
      COLUMNS.flatMap((c) => [cells[c].text, h('td', { class: 'stage-course' }, cells[c].course.el)]));
    body.append(el);
    return { el, cells, mark };
  }

  function draw() {
    if (!data) return;
    for (const s of data.stages) {
      if (!rows.has(s.stage)) rows.set(s.stage, rowOf(s));
      const row = rows.get(s.stage);
      const f = figuresAt(s, cursor);
      setText(row.cells.rate.text, f.rate === null ? '–' : t('per.second', { n: fmt.rate(f.rate) }));
      setText(row.cells.ms.text, f.ms === null ? '–' : [fine(f.ms), f.p99 === null ? '' : t('figure.p99', { n: fine(f.p99) })].filter(Boolean).join(' · '));
      setText(row.cells.lag.text, f.lag === null ? '' : fmt.count(f.lag));
      for (const c of COLUMNS) {
        row.cells[c].course.el.hidden = s.course[c].every((v) => v === null);
        row.cells[c].course.set(s.course[c], cursor);
      }
      const worst = data.slowest?.stage === s.stage;
      row.mark.hidden = !worst;
      setClass(row.el, 'is-slowest', worst);
    }
    const w = data.slowest;
    setText(slowest, w ? t('stage.slowest.is', { stage: t(`stage.${w.stage}`), ms: fine(w.ms), share: Math.round(w.share * 100) }) : '');
    setAttr(slowest, 'data-slowest', w?.stage ?? '');
    strips.draw(data, cursor);
    setText(when, cursor === null ? back() : fmt.clock(data.from + cursor * data.step_ms, ctx.plant.serverNow()));
  }

  /** fine has a digit behind the point for short times. */
  const fine = (ms) => (ms < 10 ? `${fmt.fixed(ms, 1)}${fmt.THIN}ms` : fmt.millis(ms));

  function choose(r) {
    range = r;
    data = null;
    cursor = null;
    ctx.setParams({ range: r === RANGES[0] ? '' : r });
    for (const b of choice.children) setAttr(b, 'aria-pressed', String(b.dataset.range === r));
    for (const th of courses) setText(th, back());
    load().catch(() => {}); // the next one tries again
  }

  async function load() {
    const asked = range;
    const from = data ? data.from + (data.stages[0].course.rate.length - 3) * data.step_ms : '';
    const next = await get(`/api/v1/pipeline${query({ from, range: asked === RANGES[0] ? '' : asked })}`);
    if (scope.isOver() || asked !== range) return;
    data = extend(data, next);
    ctx.debug.pipeline = data;
    draw();
  }

  scope.every(EVERY, load);
  scope.draw(draw, ['theme']);
  const watch = new ResizeObserver(draw);
  watch.observe(p.el);
  scope.onEnd(() => watch.disconnect());
  return [p.el, strips.el];
}
