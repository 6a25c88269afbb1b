// The ten alarms of a device and type that came up most often in a day.
import { h } from '../core/dom.js';

/** createTop makes the table; take gets the portal's summary of alarms. */
export function createTop(ctx, onChange) {
  const { t } = ctx;
  const body = h('tbody');
  const el = h('table', { class: 'alarm-table top-table', hidden: true },
    h('thead', {}, h('tr', {}, ['device', 'place', 'what', 'times', 'last'].map((c) => h('th', { scope: 'col', class: `col-${c}` }, t(`col.${c}`))))), body);
  let list = null;
  let drawn = null;

  return {
    el,
    take(summary) {
      list = summary.bad_actors;
      onChange();
    },
    /** draw returns what to say beside the table. */
    draw() {
      if (list && list !== drawn) {
        drawn = list;
        body.replaceChildren(...list.map((b) => h('tr', { 'data-actor': `${b.device_id}/${b.alert_type}` },
          h('td', { class: 'col-device' }, ctx.deviceLink(b.device_id)),
          h('td', { class: 'col-place' }, ctx.placeLink(b.location)),
          h('td', { class: 'col-what' }, ctx.typeText(b.alert_type)),
          h('td', { class: 'col-times num' }, ctx.fmt.count(b.occurrences)),
          h('td', { class: 'col-last num' }, ctx.fmt.clock(b.last_at, ctx.plant.serverNow())))));
      }
      return list === null ? t('load.wait') : list.length === 0 ? t('alarms.top.none') : t('alarms.top.what');
    },
    save: () => ctx.saveCSV('alarms-top', [
      ['device_id', (b) => b.device_id],
      ['building', (b) => b.location?.building],
      ['alert_type', (b) => b.alert_type],
      ['occurrences', (b) => b.occurrences],
      ['last_at', (b) => new Date(b.last_at).toISOString()],
    ], list ?? []),
  };
}
