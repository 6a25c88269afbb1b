// One alarm in detail: the readings that raised it, its transitions, rule and comments.
import { css } from '../chart/palette.js';
import { createLine } from '../chart/line.js';
import { get } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { sheet } from '../core/later.js';
import { deadbandText, kindOf, limitText, otherText, roomText } from '../model/alarmtext.js';
import { drawing, eventsOf, extent } from '../model/evidence.js';
import { badge } from './badge.js';

const BUSY = 1000; // ms until an explanation is asked for again

export function createDrawer(ctx, scope, onClose) {
  const { t } = ctx;
  const el = h('aside', { class: 'drawer panel', hidden: true, 'aria-label': t('drawer.title') });
  let shown = null;
  let chart = null;
  let anomaly = null; // what explains one
  let asked = 0;
  let named = true; // the names of the sensors were known when it was drawn

  function show(alarm) {
    shown = alarm;
    named = ctx.sensors.all().length > 0;
    el.hidden = !alarm;
    chart?.destroy();
    chart = null;
    anomaly?.end();
    anomaly = null;
    el.replaceChildren();
    if (!alarm) return;
    const unusual = alarm.source === 'anomaly' && alarm.anomaly;
    const reason = h('div');
    const box = h('div', { class: 'chart drawer-chart' });
    const note = h('p', { class: 'panel-note', 'data-explained': true }, t('load.wait'));
    el.append(
      h('header', { class: 'panel-head' }, badge(alarm, t), h('h2', { class: 'panel-title' }, ctx.deviceName(alarm.device_id)), h('span', { class: 'panel-space' }),
        h('button', { class: 'button is-small', onclick: onClose, 'aria-label': t('close') }, '✕')),
      h('div', { class: 'drawer-body' },
        h('p', { 'data-what': true }, ctx.what(alarm)),
        alarm.suppressed ? h('p', { class: 'panel-note' }, h('a', { href: ctx.alarmHref({ alert_id: alarm.suppressed.by_alarm }) }, t('remark.suppressed'))) : null,
        alarm.uncertain ? h('p', { class: 'panel-note is-uncertain' }, t('remark.uncertain')) : null,
        h('div', { class: 'action-bar', 'data-needs': 'alarm_command' }, ['acknowledge', alarm.shelved && !alarm.shelved.maintenance ? 'unshelve' : 'shelve', 'comment', ...(alarm.source === 'anomaly' ? ['not_anomaly'] : [])].map((a) =>
          h('button', { class: 'button is-small', onclick: () => ctx.commands.ask(a, [shown]) }, t(`command.${a}`))),
        h('a', { class: 'button is-small', href: ctx.deviceHref(alarm.device_id) }, t('drawer.device'))),
        unusual ? reason : h('h3', {}, t('drawer.readings')), unusual ? null : box, unusual ? null : note,
        h('h3', {}, t('drawer.rule')), rule(alarm),
        h('h3', {}, t('drawer.history')), history(alarm),
        alarm.comments?.length ? h('h3', {}, t('drawer.comments')) : null,
        alarm.comments?.length ? h('ul', { class: 'drawer-list' }, alarm.comments.map((c) => h('li', {}, h('b', {}, c.by), ` ${ctx.fmt.clock(c.at, ctx.plant.serverNow())} `, c.text))) : null));
    if (unusual) explainAnomaly(alarm, reason);
    else explain(alarm, box, note);
  }

  function rule(a) {
    const words = ctx.words();
    const kind = `kind.${kindOf(a)}`;
    const rows = [
      [t('rule.name'), a.rule || ctx.typeText(a.alert_type)],
      [t('rule.kind'), t.has(kind) ? t(kind) : ''],
      [t('rule.limit'), limitText(a, words)],
      [t('rule.deadband'), deadbandText(a, words)],
      [t('rule.room'), roomText(a, words)],
      [t('rule.second'), otherText(a, words)],
      [t('rule.delays'), a.on_delay_ms || a.off_delay_ms ? `${ctx.fmt.age(a.on_delay_ms ?? 0, t)} / ${ctx.fmt.age(a.off_delay_ms ?? 0, t)}` : ''],
      [t('rule.version'), a.rule_version ?? ''],
    ].filter(([, text]) => text && text !== '–');
    return h('dl', { class: 'facts' }, rows.flatMap(([k, v]) => [h('dt', {}, k), h('dd', { class: 'num' }, v)]));
  }

  function history(a) {
    return h('ol', { class: 'drawer-list' }, (a.history ?? []).map((c) =>
      h('li', {}, h('span', { class: 'num', title: ctx.fmt.utc(c.at) }, ctx.fmt.clock(c.at, ctx.plant.serverNow())), ' ',
        t.has(`event.${c.event}`) ? t(`event.${c.event}`) : c.event, c.by ? ` · ${c.by}` : '', c.note ? ` · “${c.note}”` : '')));
  }

  /** why says what an explanation lacks. */
  const why = (e) => (t.has(`explain.${e.why}`) ? t(`explain.${e.why}`) : e.error || e.incomplete || '');

  async function explainAnomaly(alarm, into) {
    const mine = ++asked;
    try {
      const [m] = await Promise.all([import('./anomaly.js'), ctx.texts('anomaly'), sheet('anomaly')]);
      if (mine !== asked || scope.isOver()) return;
      anomaly = m.createAnomaly(ctx, alarm);
      into.replaceChildren(anomaly.el);
    } catch (e) {
      if (mine === asked) setText(into, t('drawer.explain.failed', { why: e.message }));
    }
  }

  /** explain fetches core's explanation and draws it. It waits while the portal has another one made for this address. */
  async function explain(alarm, box, note) {
    const mine = ++asked;
    let e;
    try {
      e = (await get(`/api/v1/alerts/${alarm.alert_id}/explain`, { within: 12_000 })).explanation;
    } catch (err) {
      if (err.code === 'explain_busy') {
        await new Promise((done) => setTimeout(done, BUSY));
        if (mine === asked && !scope.isOver()) await explain(alarm, box, note);
        return;
      }
      if (mine === asked) setText(note, t('drawer.explain.failed', { why: err.message }));
      return;
    }
    if (mine !== asked || scope.isOver()) return;
    if (e.error || e.samples.length === 0) {
      setText(note, why(e) || t('drawer.explain.none'));
      return;
    }
    const d = drawing(alarm, e);
    const lines = d.lines.map((l) => ({ label: ctx.sensorName(l.parameter) }));
    const limits = d.limits.map((l) => ({ value: l.value, color: css(l.kind === 'limit' ? '--high-text' : '--muted') }));
    const marks = eventsOf(alarm, e.samples).map((s) => ({ time: s.time, color: s.event === 'cleared' ? css('--muted') : css(`--${alarm.severity}-text`) }));
    chart = createLine(box, { lines, height: 180, limits: () => limits, marks: () => marks, range: (_, min, max) => extent(min, max, limits) });
    chart.setData({ time: e.samples.map((s) => s.time), lines: d.lines.map((l) => l.values) });
    setText(note, [...d.notes.map((n) => t(`drawer.explain.${n}`)), t('drawer.explain.marks'), d.notes.includes('room') ? '' : why(e)].filter(Boolean).join(' '));
  }

  scope.draw(() => {
    const now = shown && (ctx.alarms.all.get(shown.alert_id) ?? shown);
    if (now && (now !== shown || (!named && ctx.sensors.all().length > 0))) show(now);
  }, ['alarms', 'sensors']);
  scope.onEnd(() => {
    chart?.destroy();
    anomaly?.end();
  });
  return { el, show };
}
