// Dead letters by reason: how many, a sample of them, and sending those through once more that core would accept now.
import { get, post } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { bytesOf, escaped } from '../model/pipeline.js';
import { panel } from './badge.js';
import { askBy, openDialog } from './command.js';

const EVERY = 15_000;
const LISTED = 10; // replays
const WITHIN = 28_000; // core reads Kafka

export function createLetters(ctx, scope) {
  const { t, fmt } = ctx;
  const body = h('tbody');
  const note = h('span', { class: 'panel-note num', role: 'status' }, t('load.wait'));
  const history = h('ul', { class: 'plant-log' });
  const past = h('div', { hidden: true }, h('h3', { class: 'letters-history' }, t('letters.history')), history);
  const table = h('div', { class: 'scroller', tabindex: '0', role: 'group', 'aria-label': t('letters.title') },
    h('table', { class: 'letter-table' },
      h('thead', {}, h('tr', {}, ['reason', 'count', 'newest', 'state'].map((c) => h('th', { scope: 'col' }, t(`letters.col.${c}`))), h('td'))), body));
  const about = h('p', { class: 'panel-note' }, t('letters.about'));
  const p = panel('letters', t('letters.title'), table, about, past);
  p.head.append(note);
  let key = '';

  const reasonText = (reason) => (t.has(`reason.${reason}`) ? t(`reason.${reason}`) : reason);

  function row(r, most) {
    const n = Math.min(r.ready, most);
    const states = [
      r.ready > 0 && t('letters.ready', { n: fmt.count(r.ready) }),
      r.replayed > 0 && t('letters.replayed', { n: fmt.count(r.replayed) }),
      ...Object.entries(r.blocked).map(([why, count]) => t(`letters.blocked.${why}`, { n: fmt.count(count) })),
    ].filter(Boolean);
    return h('tr', { 'data-reason': r.reason },
      h('th', { scope: 'row' }, reasonText(r.reason), h('code', { class: 'sub' }, r.reason)),
      h('td', { class: 'num' }, fmt.count(r.count)),
      h('td', { class: 'num', title: fmt.utc(r.newest) }, fmt.clock(r.newest, ctx.plant.serverNow())),
      h('td', { class: 'letter-state' }, states.map((s) => h('span', {}, s))),
      h('td', { class: 'letter-do' },
        h('button', { class: 'button is-small', 'data-key': `sample ${r.reason}`, onclick: () => showSample(r) }, t('letters.sample')),
        n > 0 && h('button', { class: 'button is-small', 'data-key': `replay ${r.reason}`, 'data-needs': 'maintain', onclick: () => askReplay(r, n) }, t('letters.replay', { n: fmt.count(n) }))));
  }

  function showSample(r) {
    const s = r.sample;
    const bytes = bytesOf(s.raw);
    const rows = [
      ['device', s.device || '–'], ['gateway', s.gateway || '–'], ['time', fmt.utc(s.time)], ['place', t('letters.place', { partition: s.partition, offset: s.offset })],
      ['why', [s.field, s.message].filter(Boolean).join(': ')],
      ['again', s.again || (r.ready > 0 ? t('letters.accepted') : '–')],
    ];
    const dialog = openDialog(t('letters.sample'), h('div', { class: 'dialog-form letter-sample' },
      h('h2', {}, reasonText(r.reason)),
      h('dl', { class: 'facts' }, rows.flatMap(([name, value]) => [h('dt', {}, t(`letters.field.${name}`)), h('dd', { class: 'raw' }, value)])),
      h('pre', { class: 'raw letter-raw', tabindex: '0' }, escaped(bytes)),
      bytes.length < s.bytes && h('p', { class: 'panel-note' }, t('letters.cut', { n: fmt.bytes(bytes.length), all: fmt.bytes(s.bytes) })),
      h('div', { class: 'dialog-end' },
        h('button', { class: 'button', onclick: () => ctx.save(`${r.reason}-${s.partition}-${s.offset}.bin`, new Blob([bytes])) }, t('letters.save')),
        h('button', { class: 'button', onclick: () => dialog.close() }, t('close')))));
  }

  function askReplay(r, n) {
    const sure = h('input', { class: 'control num', name: 'sure', inputmode: 'numeric', autocomplete: 'off', required: true });
    askBy(ctx, t('letters.go', { n: fmt.count(n) }), t('letters.subject', { reason: reasonText(r.reason), n: fmt.count(n) }),
      h('label', {}, t('letters.sure', { n: fmt.count(n) }), sure), async (by) => {
        if (sure.value.replace(/\D/g, '') !== String(n)) throw new Error(t('letters.sure.wrong', { n: fmt.count(n) }));
        const a = await post('/api/v1/dead-letters/replays', { reason: r.reason, by, most: n }, { within: WITHIN });
        ctx.tell(t('letters.done', { n: fmt.count(a.count) }));
        load().catch(() => {});
      });
    sure.focus();
  }

  async function load() {
    const a = await get('/api/v1/dead-letters', { within: WITHIN }).catch((e) => {
      if (!scope.isOver()) setText(note, t('load.failed', { why: e.message }));
      throw e;
    });
    if (scope.isOver()) return;
    const all = a.reasons.reduce((n, r) => n + r.count, 0);
    setText(note, all > 0 ? t('letters.since', { n: fmt.count(all), time: fmt.clock(a.since, ctx.plant.serverNow()) }) : t('letters.none'));
    table.hidden = about.hidden = all === 0;
    const next = JSON.stringify([a.reasons, a.replays]);
    if (next === key) return; // the focus stays where it is
    key = next;
    const focused = document.activeElement?.dataset.key;
    body.replaceChildren(...a.reasons.map((r) => row(r, a.most)));
    if (focused) p.el.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    past.hidden = a.replays.length === 0;
    history.replaceChildren(...a.replays.slice(0, LISTED).map((r) => h('li', { 'data-replay': r.id },
      t('letters.entry', { time: fmt.clock(r.time, ctx.plant.serverNow()), by: r.by, reason: reasonText(r.reason), n: fmt.count(r.count) }))));
  }
  scope.every(EVERY, load);
  return p.el;
}
