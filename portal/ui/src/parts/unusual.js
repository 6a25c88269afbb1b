// The devices that are the most unusual now, by what core reports.
import { get } from '../core/api.js';
import { h, setAttr, setText } from '../core/dom.js';
import { anomalyText } from '../model/alarmtext.js';

const EACH = 5000;

/** fillUnusual makes el the panel of the overview. */
export function fillUnusual(ctx, scope, el) {
  const { t } = ctx;
  const list = h('ol', { class: 'unusual-list', tabindex: '0', 'aria-label': t('unusual.title') });
  const note = h('p', { class: 'panel-note', role: 'status' }, t('load.wait'));
  setAttr(el, 'aria-label', t('unusual.title'));
  el.append(h('header', { class: 'panel-head' }, h('h2', { class: 'panel-title' }, t('unusual.title'))), note, list);
  let answer = null;
  let failed = '';

  const dirty = scope.draw(() => {
    if (!answer && !failed) return;
    const items = (answer?.items ?? []).filter((u) => !ctx.view.building || u.location?.building === ctx.view.building);
    setText(note, failed ? t('anomaly.failed', { why: failed }) : answer.instances === 0 ? t('unusual.off') : items.length === 0 ? t('unusual.none') : '');
    note.hidden = note.textContent === '';
    list.hidden = items.length === 0;
    const now = ctx.plant.serverNow();
    list.replaceChildren(...items.map((u) => h('li', { class: 'unusual-row', 'data-unusual': u.device_id },
      h('a', { href: ctx.deviceHref(u.device_id) }, u.name || u.device_id),
      h('span', { class: 'unusual-what', title: anomalyText(u, now, ctx.words()) }, anomalyText(u, now, ctx.words())),
      h('span', { class: 'attention-since num', title: ctx.fmt.utc(u.since) }, ctx.fmt.age(Math.max(0, (answer.time || now) - u.since), t)))));
  }, ['view', 'sensors']);

  scope.every(EACH, async () => {
    try {
      answer = await get('/api/v1/unusual');
      failed = '';
    } catch (e) {
      [answer, failed] = [null, e.message]; // what is old is not shown as if it were so now
    }
    if (!scope.isOver()) dirty(true);
  });
}
