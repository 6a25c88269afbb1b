// The report of a shift, a day or a week: what operators had to deal with, what was missing, and what the
// next shift has to know. It is printed, handed over and signed.
import { get, query } from '../core/api.js';
import { glyph, h } from '../core/dom.js';
import { format as href } from '../core/router.js';
import { SEVERITIES } from '../model/alarms.js';
import { beside, change, earlier, KINDS, span, windowAt } from '../model/report.js';
import { local } from '../parts/range.js';

const SLOW = 30_000; // ms between two reports while the shift runs

export function createReportPage(ctx, scope, route) {
  const { t } = ctx;
  const state = { kind: KINDS.includes(route.params.kind) || route.params.kind === 'range' ? route.params.kind : 'shift', from: Number(route.params.from) || 0, to: Number(route.params.to) || 0 };
  let times = null; // when shifts begin
  let turn = 0;
  let building = ctx.view.building;
  const body = h('div', { class: 'report-body' });
  const note = h('p', { class: 'panel-note', role: 'status' }, t('load.wait'));
  const title = h('h1', { class: 'panel-title' }, t('report.title'));
  const when = h('span', { class: 'report-when num' });
  const kinds = [...KINDS, 'range'].map((k) => h('button', { class: 'button is-small', 'data-kind': k, onclick: () => choose(k) }, t(`report.${k}`)));
  const from = h('input', { class: 'control is-small', type: 'datetime-local', 'aria-label': t('range.from'), onchange: typed });
  const to = h('input', { class: 'control is-small', type: 'datetime-local', 'aria-label': t('range.to'), onchange: typed });
  const form = h('span', { class: 'group', hidden: true }, from, to);
  const file = h('a', { class: 'button is-small', 'data-file': true, 'data-needs': 'investigate' }, t('export.csv'));
  const step = (way, text) => h('button', { class: 'button is-small', 'data-step': way, 'aria-label': text, title: text, onclick: () => show(beside(state.kind, window(), way, times)) }, way < 0 ? '‹' : '›');

  const now = () => ctx.plant.serverNow();
  const window = () => (state.from ? { from: state.from, to: state.to } : windowAt(state.kind === 'range' ? 'shift' : state.kind, now(), times));

  function choose(kind) {
    const at = window();
    state.kind = kind;
    show(kind === 'range' ? at : windowAt(kind, Math.min(at.to - 1, now()), times));
  }

  function typed() {
    const [a, b] = [Date.parse(from.value), Date.parse(to.value)];
    if (a < b) show({ from: a, to: b });
  }

  function show(w) {
    if (w.from >= now()) return;
    const running = state.kind !== 'range' && w.to > now();
    Object.assign(state, running ? { from: 0, to: 0 } : w);
    load();
  }

  function dress(w) {
    const live = state.from === 0;
    ctx.setParams({ kind: state.kind === 'shift' ? '' : state.kind, from: live ? '' : w.from, to: live ? '' : w.to });
    for (const b of kinds) b.setAttribute('aria-pressed', String(b.dataset.kind === state.kind));
    form.hidden = state.kind !== 'range';
    from.value = local(w.from).slice(0, 16);
    to.value = local(w.to).slice(0, 16);
    when.textContent = `${day(w.from)} – ${day(w.to)} · ${building || t('shift.plant')}`;
    file.href = `/api/v1/report.csv${query({ from: w.from, to: w.to, building, lang: ctx.lang() })}`;
  }

  const day = (ms) => ctx.fmt.moment(ms, 0, ctx.lang());

  async function load() {
    const mine = ++turn;
    try {
      times ??= (await get('/api/v1/shifts')).starts;
      const w = window();
      dress(w);
      const report = await get(`/api/v1/report${query({ ...w, building })}`);
      const [before, notes] = await Promise.all([
        get(`/api/v1/report${query({ ...earlier(state.kind, w, report.until, times), building })}`).catch(() => null),
        get(`/api/v1/shiftnotes${query({ ...w, building, limit: 50 })}`).catch(() => null),
      ]);
      if (mine !== turn) return;
      note.textContent = '';
      body.replaceChildren(...sections(ctx, report, before, notes, window));
      ctx.debug.report = report;
    } catch (e) {
      if (mine !== turn) return;
      note.textContent = t.has(`kept.${e.code}`) ? t(`kept.${e.code}`) : t('load.failed', { why: e.message });
    }
  }

  scope.draw(() => {
    if (building === ctx.view.building) return;
    building = ctx.view.building;
    load();
  }, ['view']);
  scope.onEnd(() => turn++);
  scope.every(SLOW, async () => {
    if (state.from === 0 || body.childElementCount === 0) await load();
  });
  return h('article', { class: 'panel report' },
    h('header', { class: 'panel-head' }, title, when, h('span', { class: 'panel-space' }),
      h('span', { class: 'group report-choice', role: 'group', 'aria-label': t('report.period') }, step(-1, t('report.before')), kinds, step(1, t('report.after')), form),
      h('span', { class: 'group report-choice' }, h('button', { class: 'button is-small', 'data-print': true, onclick: () => print() }, t('report.print')), file)),
    note, body);
}

/** sections are the parts of a report, in the order in which they are read out. */
function sections(ctx, r, before, notes, window) {
  const { t } = ctx;
  const of = { ctx, t, r, before, moment: (ms) => (ms ? ctx.fmt.moment(ms, r.time, ctx.lang()) : '–') };
  return [
    figures(of), buildings(of),
    h('div', { class: 'report-pair' }, actors(of, 'bad_actors', r.bad_actors), aside(of)),
    h('div', { class: 'report-pair' }, criticals(of), handover(of, notes, window)),
    foot(of),
  ];
}

const unknown = (t) => h('span', { class: 'report-unknown' }, t('report.unknown'));
const duration = (of, ms) => {
  const s = span(ms);
  return s ? of.t(`age.${s.unit}`, { n: s.n }) : null;
};
const percent = (v, places = 1) => (v === null || v === undefined ? null : `${(100 * v).toFixed(places)}\u2009%`);

/** figure is one number with its name and how it was before. */
function figure(of, name, value, { trend = [null, null], more = null, bad = false } = {}) {
  const arrow = change(...trend);
  return h('div', { class: `report-figure${bad ? ' is-bad' : ''}`, 'data-figure': name },
    h('span', { class: 'report-label' }, of.t(`report.${name}`)),
    h('span', { class: 'report-value num' }, value ?? unknown(of.t)),
    arrow ? h('span', { class: 'report-trend', title: of.t('report.than.before') }, of.t('report.was', { arrow, n: number(trend[1]) })) : null,
    more ? h('span', { class: 'report-more num' }, more) : null);
}

const number = (n) => String(Math.round(n * 10) / 10);

function severities(counts) {
  return SEVERITIES.map((s) => h('span', { class: 'report-severity', 'data-severity': s }, glyph(s), h('span', { class: 'num' }, String(counts[s]))));
}

function figures(of) {
  const { r, before: b, t } = of;
  const wait = (x, name) => (Number.isFinite(x?.[name]) ? x[name] / 60_000 : null);
  return h('section', { class: 'report-figures' },
    figure(of, 'raised', String(r.raised.total), { trend: [r.raised.total, b?.raised.total], more: severities(r.raised) }),
    figure(of, 'per_hour', number(r.per_hour), { trend: [r.per_hour, b?.per_hour], more: t('report.target', { n: r.target }), bad: r.per_hour > r.target }),
    figure(of, 'floods', String(r.floods.length), { trend: [r.floods.length, b?.floods.length], more: r.floods.length ? t('report.flood.time', { time: duration(of, r.flood_ms), share: percent(r.flood_share) }) : null, bad: r.floods.length > 0 }),
    figure(of, 'ack_median', duration(of, r.ack_median_ms ?? NaN), { trend: [wait(r, 'ack_median_ms'), wait(b, 'ack_median_ms')], more: t('report.p90', { time: duration(of, r.ack_p90_ms ?? NaN) ?? t('report.unknown') }) }),
    figure(of, 'never_acknowledged', String(r.never_acknowledged), { trend: [r.never_acknowledged, b?.never_acknowledged] }),
    figure(of, 'standing', String(r.standing_count), { trend: [r.standing_count, b?.standing_count] }));
}

/** table is one with a caption; a row without cells says that there is none. */
function table(of, name, columns, rows, empty = 'report.none') {
  return h('section', { class: 'report-part', 'data-part': name },
    h('h2', {}, of.t(`report.${name}`)),
    rows.length === 0 ? h('p', { class: 'panel-note' }, of.t(empty))
      : h('div', { class: 'report-scroll', tabindex: '0', role: 'region', 'aria-label': of.t(`report.${name}`) },
        h('table', { class: 'report-table' }, h('thead', {}, h('tr', {}, columns.map((c) => h('th', { scope: 'col' }, of.t(`report.col.${c}`))))),
          h('tbody', {}, rows))));
}

const cell = (content, kind = '') => h('td', { class: kind }, content);

function buildings(of) {
  const { r, t, ctx } = of;
  const degrees = (v) => (v === null ? null : `${v.toFixed(1)}\u2009°C`);
  const known = (v) => v ?? unknown(t);
  return table(of, 'buildings', ['building', 'devices', 'availability', 'raised', 'temperature', 'complete', 'silent'], r.buildings.map((b) => h('tr', { 'data-building': b.building },
    cell(b.building || t('report.nowhere')), cell(b.devices ? ctx.fmt.count(b.devices) : unknown(t), 'num'), cell(known(percent(b.availability, 2)), 'num'),
    cell(h('span', { class: 'report-severities' }, severities(b.raised))),
    cell(b.temperature_mean === null ? unknown(t) : `${degrees(b.temperature_mean)} / ${degrees(b.temperature_max)}`, 'num'),
    cell(b.completeness === null ? unknown(t) : [percent(b.completeness, 2), b.sampled < b.devices ? h('span', { class: 'sub' }, t('report.sampled', { n: b.sampled })) : null], 'num'),
    cell(b.gateway_silent_ms ? duration(of, b.gateway_silent_ms) : '0', 'num'))));
}

/** alarmCells name an alarm type of a device, with the way to the device. */
function alarmCells(of, x) {
  return [cell([of.ctx.deviceLink(x.device_id, x), h('span', { class: 'sub' }, x.building)]), cell(x.alert_type ? of.ctx.typeText(x.alert_type) : of.t('device.maintenance'))];
}

function actors(of, name, list) {
  const { r, ctx } = of;
  return table(of, name, ['device', 'type', 'count', 'share'], list.map((a) => {
    const journal = href({ page: 'alarms', params: { tab: 'journal', from: r.from, to: r.until, q: a.device_id } });
    return h('tr', { 'data-actor': a.device_id },
      cell([ctx.deviceLink(a.device_id, a), h('span', { class: 'sub' }, a.building)]),
      cell([ctx.typeText(a.alert_type), a.rule ? h('a', { class: 'sub report-rule', href: href({ page: 'rules', subject: a.rule }) }, a.rule) : null]),
      cell(h('a', { href: journal }, String(a.count)), 'num'), cell(percent(a.share), 'num'));
  }));
}

function aside(of) {
  const { r, moment, t } = of;
  const reason = (a) => [a.reason || t('report.no.reason'), h('span', { class: 'sub' }, [a.by, moment(a.at), a.until ? t('report.until', { time: moment(a.until) }) : ''].filter(Boolean).join(' · '))];
  const put = (name, list) => table(of, name, ['device', 'type', 'reason'], list.map((a) => h('tr', {}, alarmCells(of, a), cell(reason(a)))));
  return h('div', {}, actors(of, 'chattering', r.chattering),
    table(of, 'standing_list', ['device', 'type', 'since'], r.standing.map((e) => h('tr', {}, alarmCells(of, e), cell(moment(e.raised_at), 'num')))),
    put('shelved', r.shelved), put('out_of_service', r.out_of_service));
}

function criticals(of) {
  const { r, moment, ctx } = of;
  const rest = r.critical_count - r.criticals.length;
  return h('div', {}, table(of, 'criticals', ['device', 'type', 'raised_at', 'acknowledged_at', 'ended_at'], r.criticals.map((e) => h('tr', { 'data-critical': e.alert_id },
    cell([ctx.deviceLink(e.device_id, e), h('span', { class: 'sub' }, e.building)]), cell(h('a', { href: ctx.alarmHref(e) }, ctx.typeText(e.alert_type))),
    ...['raised_at', 'acknowledged_at', 'ended_at'].map((k) => cell(moment(e[k]), 'num'))))),
  rest > 0 ? h('p', { class: 'panel-note' }, of.t('report.rest', { n: rest })) : null);
}

function handover(of, notes, window) {
  const { t, moment } = of;
  const write = h('a', { class: 'report-choice', href: href({ page: 'shiftnotes', params: window() }) }, t('report.write'));
  const rows = (notes?.items ?? []).filter((n) => !n.replaced_by).map((n) => h('li', { class: 'report-note', 'data-note': n.id },
    n.priority ? h('strong', { class: 'tag' }, t('shift.priority')) : null, h('p', { class: 'note-text' }, n.text),
    h('p', { class: 'sub' }, `${n.created_by} · ${moment(n.created_at)} · ${n.building || t('shift.plant')}`),
    h('p', { class: 'sub' }, n.signatures?.length ? t('report.signed', { names: n.signatures.map((s) => `${s.by} ${moment(s.at)}`).join(', ') }) : t('report.unsigned'))));
  return h('section', { class: 'report-part', 'data-part': 'handover' }, h('h2', {}, t('report.handover')),
    notes === null ? h('p', { class: 'panel-note' }, unknown(t)) : rows.length ? h('ul', {}, rows) : h('p', { class: 'panel-note' }, t('report.no.notes')), write,
    h('p', { class: 'report-sign' }, t('report.sign.here')));
}

/** foot says what the report is made of, and what is not known. */
function foot(of) {
  const { r, t, ctx } = of;
  const time = (ms) => (ms ? ctx.fmt.moment(ms, 0, ctx.lang()) : t('report.never'));
  const offsets = r.offsets.map((o) => `${o.topic} ${o.partition}: ${o.first ?? '?'} – ${o.next}`).join(' · ');
  const hidden = r.hidden.suppressed + r.hidden.historical + (r.hidden.maintained ?? 0);
  return h('footer', { class: 'report-foot' },
    h('p', {}, t(r.complete ? 'report.complete' : 'report.incomplete', { time: time(r.since), made: ctx.fmt.clock(r.time, 0) })),
    hidden ? h('p', {}, t('report.hidden', { suppressed: r.hidden.suppressed, historical: r.hidden.historical, maintained: r.hidden.maintained ?? 0 })) : null,
    r.unknown.length ? h('ul', { class: 'report-reasons' }, r.unknown.map((u) => h('li', { 'data-unknown': `${u.what} ${u.why}` }, `${t(`report.what.${u.what}`)}: ${t(`report.why.${u.why}`, { time: time(u.at) })}`))) : null,
    h('p', {}, t('report.method')),
    offsets ? h('p', { class: 'num report-offsets' }, t('report.offsets', { offsets })) : null);
}
