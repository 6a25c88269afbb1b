// The processes of the plant, what changed in it, and the newest warnings of their logs.
import { createTrace } from '../chart/trace.js';
import { get, post } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { groupProcesses, grows, programNames } from '../model/pipeline.js';
import { panel } from './badge.js';
import { askBy } from './command.js';

const EVERY = 5000;
const SHOWN = 200; // processes, events and warnings
const LEVELS = ['debug', 'info', 'warn', 'error'];

export function createProcesses(ctx, scope) {
  const { t, fmt } = ctx;
  const body = h('tbody');
  const note = h('span', { class: 'panel-note' }, t('load.wait'));
  const p = panel('processes', t('system.processes'), h('div', { class: 'scroller', tabindex: '0', role: 'group', 'aria-label': t('system.processes') },
    h('table', { class: 'process-table' },
      h('thead', {}, h('tr', {}, ['name', 'version', 'since', 'restarts', 'cpu', 'memory', 'goroutines', 'level'].map((c) => h('th', { scope: 'col' }, t(`process.col.${c}`))))),
      body)));
  p.head.append(note);

  function row(g) {
    const cpu = createTrace();
    const memory = createTrace();
    const el = h('tr', { class: g.silent ? 'is-silent' : '', 'data-process': g.instance },
      h('th', { scope: 'row' }, h('span', { title: `${g.host} · ${g.pid}` }, programNames(g.programs)),
        h('span', { class: 'sub' }, [g.silent ? t('process.silent', { age: fmt.age(g.age_ms, t) }) : '', g.programs.length > 1 ? t('process.shared') : ''].filter(Boolean).join(' · '))),
      h('td', {}, g.version),
      h('td', { class: 'num', title: fmt.utc(g.started) }, fmt.clock(g.started, ctx.plant.serverNow())),
      h('td', { class: 'num' }, fmt.count(g.restarts)),
      h('td', { class: 'num' }, h('span', {}, `${fmt.fixed(g.cpu_percent, 1)} %`), cpu.el),
      h('td', { class: 'num', 'data-memory': true }, h('span', {}, fmt.bytes(g.memory_bytes), g.memory_per_minute === null ? '' : ` ${trend(g)}`), memory.el),
      h('td', { class: 'num' }, fmt.count(g.goroutines)),
      h('td', {}, g.log_level && h('button', { class: 'button is-small', 'data-key': `level ${g.program} ${g.instance}`, title: t('process.level'), onclick: () => askLevel(g) }, level(g))));
    return { el, draw: () => (cpu.set(g.course.cpu_percent), memory.set(g.course.memory_bytes)) };
  }

  const level = (g) => (g.log_level_until ? t('process.level.now', { level: t(`loglevel.${g.log_level}`), by: g.log_level_by, time: fmt.clock(g.log_level_until, ctx.plant.serverNow()) }) : t(`loglevel.${g.log_level}`));

  function askLevel(g) {
    const to = h('select', { class: 'control', name: 'level' }, LEVELS.map((l) => h('option', { value: l, selected: l === g.log_level }, t(`loglevel.${l}`))));
    askBy(ctx, t('process.level'), t('process.level.subject', { program: programNames(g.programs) }), h('label', {}, t('process.level.to'), to),
      async (by) => {
        await post('/api/v1/log-levels', { program: g.program, instance: g.instance, level: to.value, by });
        load().catch(() => {});
      });
    to.focus();
  }

  const trend = (g) => `(${t('process.trend', { n: `${g.memory_per_minute < 0 ? '−' : '+'}${fmt.bytes(Math.abs(g.memory_per_minute))}` })}${grows(g) ? ' ▲' : ''})`;

  async function load() {
    const answer = await get(`/api/v1/processes?limit=${SHOWN}`).catch((e) => {
      setText(note, t('load.failed', { why: e.message }));
      throw e;
    });
    if (scope.isOver()) return;
    const groups = groupProcesses(answer.items).map(row);
    setText(note, t('process.count', { n: fmt.count(answer.total), processes: fmt.count(groups.length) }));
    const focused = document.activeElement?.dataset.key;
    body.replaceChildren(...groups.map((g) => g.el));
    if (focused) body.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    for (const g of groups) g.draw();
  }

  scope.every(EVERY, load);
  return p.el;
}

/** createPlantLog shows what changed in the plant, or the warnings of its processes. */
function createPlantLog(ctx, scope, name, path, entry) {
  const { t, fmt } = ctx;
  const list = h('ul', { class: 'plant-log', tabindex: '0', 'aria-label': t(`system.${name}`) }); // the keyboard scrolls it, too
  const p = panel(`plant-${name}`, t(`system.${name}`), list);
  scope.every(EVERY, async () => {
    const { items } = await get(`${path}?limit=${SHOWN}`);
    if (scope.isOver()) return;
    const rows = items.map((e) => h('li', {}, h('span', { class: 'num', title: fmt.utc(e.time) }, fmt.clock(e.time, ctx.plant.serverNow())), ' ', ...entry(e)));
    list.replaceChildren(...(rows.length > 0 ? rows : [h('li', { class: 'empty' }, t(`system.${name}.none`))]));
  });
  return p.el;
}

/** named is what a value of an event is called: levels of logs have names. */
const named = (ctx, e, side) => (e.kind === 'log_level' ? ctx.t(`loglevel.${e[side]}`) : (e[side] ?? ''));

/** createEvents shows starts, restarts, silences and changes. */
export const createEvents = (ctx, scope) => createPlantLog(ctx, scope, 'events', '/api/v1/events', (e) => [
  h('b', {}, `${e.program} ${e.instance}`), ' ',
  ctx.t(`plantevent.${e.kind}`, { fact: ctx.t.has(`fact.${e.fact}`) ? ctx.t(`fact.${e.fact}`) : (e.fact ?? ''), from: named(ctx, e, 'from'), to: named(ctx, e, 'to'), by: e.by ? ctx.t('plantevent.by', { by: e.by }) : '' }),
]);

/** createWarnings shows the lines as they are in the logs, which are in English. */
export const createWarnings = (ctx, scope) => createPlantLog(ctx, scope, 'warnings', '/api/v1/warnings', (w) => [
  h('span', { class: `log-level is-${w.level}` }, ctx.t(`loglevel.${w.level}`)), ' ', h('b', {}, `${w.program} ${w.instance}`), ' ',
  h('span', { lang: 'en', class: 'raw' }, `${w.message}${w.detail ? ` (${w.detail})` : ''}`),
]);
