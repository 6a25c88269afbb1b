// The rules in force: what each says, what it did in a day, and what a change would have done.
import { createLine } from '../chart/line.js';
import { css } from '../chart/palette.js';
import { glyph, h, setText } from '../core/dom.js';
import { format } from '../core/router.js';
import { limitsOf, noisiest, rulesInForce } from '../model/rules.js';
import { createCourse, RANGES } from '../model/series.js';
import { createDryRun } from '../parts/dryrun.js';
import { duration, ruleDelays, ruleHref, ruleText, ruleWhere } from '../parts/rules.js';

const RELOAD = 15_000;

export function createRulesPage(ctx, scope, route) {
  const { t } = ctx;
  let answer = null;
  let failure = '';
  let shown = null; // {key, id, el} of the rule that is open
  const filter = h('input', { class: 'control is-small', type: 'search', placeholder: t('rules.filter'), 'aria-label': t('rules.filter'), maxlength: '128', 'data-rule-filter': true, oninput: () => (ctx.setParams({ q: filter.value }), draw(true)) });
  filter.value = route.params.q ?? '';
  const note = h('p', { class: 'panel-note', role: 'status' });
  const body = h('tbody');
  const detail = h('div', { class: 'rule-detail' });

  /** words is what a filter looks in. */
  const words = (r) => [r.id, r.type, ctx.typeText(r.type), ruleText(r, ctx), ruleWhere(r, ctx), r.parameter ?? ''].join('\n').toLowerCase();

  function row(r) {
    const { fmt } = ctx;
    const day = r.day ?? {};
    return h('tr', { class: `${r.disabled ? 'is-disabled' : ''}${r.id === route.subject ? ' is-open' : ''}`, 'data-rule': r.id },
      h('td', { class: 'col-rule' }, h('a', { href: r.id === route.subject ? '#/rules' : ruleHref(r.id), 'aria-expanded': String(r.id === route.subject) }, glyph(r.severity), ' ', r.id), h('span', { class: 'sub' }, [r.disabled ? t('rules.disabled') : '', ctx.typeText(r.type) === r.id ? '' : ctx.typeText(r.type), t(`rules.source.${r.source}`)].filter(Boolean).join(' · '))),
      h('td', { class: 'col-says' }, r.disabled && r.kind === 'offline' ? '–' : ruleText(r, ctx), h('span', { class: 'sub num' }, ruleDelays(r, ctx))),
      h('td', { class: 'col-holds' }, t('rules.devices', { n: fmt.count(r.devices) }), h('span', { class: 'sub' }, ruleWhere(r, ctx))),
      h('td', { class: 'num', 'data-label': t('rules.col.raised') }, fmt.count(day.raised ?? 0)),
      h('td', { class: 'num', 'data-label': t('rules.col.share') }, day.raised ? `${Math.round(day.share * 100)}${fmt.THIN}%` : '–'),
      h('td', { class: 'num', 'data-label': t('rules.col.standing') }, fmt.count(day.standing ?? 0)),
      h('td', { class: 'num', 'data-label': t('rules.col.seen') }, fmt.count(day.acknowledged ?? 0)),
      h('td', { class: 'num', 'data-label': t('rules.col.chatter') }, fmt.count(day.chattering ?? 0)));
  }

  function drawList() {
    if (!answer) {
      setText(note, failure ? t('rules.failed', { why: failure }) : '…');
      return;
    }
    const q = filter.value.trim().toLowerCase();
    const list = noisiest(answer.rules).filter((r) => !q || words(r).includes(q));
    setText(note, [
      failure ? t('rules.failed', { why: failure }) : '',
      answer.stale ? t('rules.stale', { age: ctx.fmt.age(answer.age_ms, t) }) : '',
      t('rules.count', { n: list.length, all: answer.rules.length, version: answer.version }),
      answer.complete ? '' : t('rules.memory'),
    ].filter(Boolean).join(' '));
    const key = JSON.stringify([list, ctx.sensors.version()]);
    if (body.dataset.key === key) return;
    body.dataset.key = key;
    const kept = document.activeElement?.closest?.('tr')?.dataset.rule;
    body.replaceChildren(...(list.length > 0 ? list.map(row) : [h('tr', {}, h('td', { colspan: '8', class: 'empty' }, t('rules.none')))]));
    if (kept) body.querySelector(`[data-rule="${CSS.escape(kept)}"] a`)?.focus();
    drawDetail();
  }

  /** drawDetail opens the chosen rule anew only when the rule itself has changed: a form keeps what was typed. */
  function drawDetail() {
    const r = answer.rules.find((x) => x.id === route.subject);
    const key = r ? JSON.stringify([r.id, r.version, r.text, r.disabled, ctx.sensors.version() > 0]) : '';
    if (shown === key) return;
    shown = key;
    detail.replaceChildren(...(r ? [open(r)] : []));
  }

  function open(r) {
    const trial = createDryRun(ctx, scope, r);
    const links = h('div', { class: 'rule-links' },
      h('a', { class: 'button is-small', 'data-journal': true, href: format({ page: 'alarms', params: { tab: 'journal', q: r.id } }) }, t('rules.journal')),
      r.sample ? h('a', { class: 'button is-small', 'data-sample': true, href: ctx.deviceHref(r.sample) }, `${t('rules.sample')}: ${ctx.deviceName(r.sample)}`) : null);
    return h('section', { class: 'panel rule-open', 'aria-label': r.id, 'data-open': r.id },
      h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, r.id), h('span', { class: 'panel-note' }, r.version ? t('rules.version', { version: r.version }) : t('rules.disabled'))),
      h('p', { class: 'rule-says' }, r.disabled ? '' : ruleText(r, ctx), h('span', { class: 'sub num' }, ruleDelays(r, ctx))),
      links, r.sample && r.parameter && !r.disabled ? chartOf(r, trial) : null, trial.el);
  }

  /** chartOf shows the newest day of a device with the limit and deadband, as they are being typed. */
  function chartOf(r, trial) {
    const box = h('div', { class: 'chart' });
    const course = createCourse(r.sample);
    const caption = h('p', { class: 'panel-note' });
    let chart = null;
    const figures = () => ({ ...r, ...trial.guide() });
    function guides() {
      const now = figures();
      const color = css(`--${r.severity}-text`);
      return limitsOf([now], r.parameter).flatMap((l) => [{ value: l.value, color }, ...(l.deadband > 0 ? [{ value: l.operator === '<' ? l.value + l.deadband : l.value - l.deadband, color: css('--muted') }] : [])]);
    }
    function paint() {
      const now = figures();
      setText(caption, [t('rules.chart', { device: ctx.deviceName(r.sample) }), t('rules.delays', { on: duration(now.on_delay_ms, ctx), off: duration(now.off_delay_ms, ctx) })].join(' '));
      const to = ctx.plant.serverNow();
      const c = course.columns(r.parameter, to - RANGES['1d'], to);
      chart?.setRange(c.time[0] ?? to - RANGES['1d'], to);
      chart?.setData({ time: c.time, lines: [c.values], min: [c.min], max: [c.max], singles: [c.single] });
    }
    queueMicrotask(async () => {
      if (scope.isOver()) return;
      chart = createLine(box, { lines: [{ label: ctx.sensorName(r.parameter) }], height: 180, band: true, limits: guides });
      const to = ctx.plant.serverNow();
      await course.load(Math.round(to - RANGES['1d']), Math.round(to), [r.parameter]).catch(() => {});
      if (!scope.isOver()) paint();
    });
    trial.onGuide(paint);
    scope.onEnd(() => chart?.destroy());
    return h('figure', { class: 'rule-chart' }, box, h('figcaption', {}, caption));
  }

  const draw = scope.draw(drawList, ['sensors']);
  scope.every(RELOAD, async () => {
    try {
      answer = await rulesInForce();
      failure = '';
    } catch (e) {
      failure = e.message;
    }
    if (!scope.isOver()) draw(true);
  });
  const head = h('tr', {}, ['rule', 'says', 'holds', 'raised', 'share', 'standing', 'seen', 'chatter'].map((c) => h('th', { scope: 'col', class: ['rule', 'says', 'holds'].includes(c) ? '' : 'num', 'aria-sort': c === 'raised' ? 'descending' : null }, t(`rules.col.${c}`))));
  return h('div', { class: 'rules-page' },
    h('section', { class: 'panel' },
      h('header', { class: 'panel-head' }, h('h1', { class: 'panel-title' }, t('nav.rules')), filter, note),
      h('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': t('nav.rules') }, h('table', { class: 'alarm-table rules-table' }, h('thead', {}, head), body))),
    detail);
}
