// Which alarms are chosen, and what can be done with them.
import { h, setText } from '../core/dom.js';

/** ACTIONS by tab. */
const OFFERED = {
  now: ['acknowledge', 'shelve', 'assign', 'out_of_service', 'comment'],
  over: ['acknowledge', 'assign', 'comment'],
  aside: ['unshelve', 'in_service', 'assign', 'comment'],
};

/** AT_LARGE are the actions that an operator may not take. */
const AT_LARGE = ['out_of_service', 'in_service'];

/**
 * createChoice makes the bar of actions. listed() are the alarms of the tab, visible() those with a row;
 * fallback() is what an action is about when nothing is chosen.
 */
export function createChoice(ctx, { listed, visible, fallback, onChange }) {
  const { t } = ctx;
  let chosen = new Set();
  const note = h('span', { class: 'panel-note num', role: 'status', 'data-chosen': true });
  const all = h('button', { class: 'button is-small', 'data-all': true, onclick: () => choose(listed().map((a) => a.alert_id), true) });
  const none = h('button', { class: 'button is-small', onclick: clear }, t('alarms.clear'));
  const group = h('span', { class: 'group' });
  const el = h('div', { class: 'action-bar', 'data-needs': 'alarm_command' }, group, note, all, none);
  let tab = '';

  const alarms = () => [...chosen].map((id) => ctx.alarms.all.get(id)).filter(Boolean);

  function choose(ids, yes) {
    for (const id of ids) chosen[yes ? 'add' : 'delete'](id);
    onChange();
  }

  function clear() {
    chosen = new Set();
    onChange();
  }

  /** ask opens the dialog for what is chosen, or for what is under the cursor. */
  function ask(action, about = alarms()) {
    ctx.commands.ask(action, about.length > 0 ? about : fallback());
  }

  return {
    el,
    choose,
    clear,
    ask,
    has: (id) => chosen.has(id),
    chooseVisible: (yes) => choose(visible().map((a) => a.alert_id), yes),
    /** draw shows what can be done on a tab; alarms that are not listed any more are not chosen either. */
    draw(now) {
      el.hidden = !OFFERED[now];
      if (el.hidden) return;
      if (tab !== now) {
        tab = now;
        group.replaceChildren(...OFFERED[now].map((a) => h('button', { class: 'button is-small', 'data-action': a, 'data-needs': AT_LARGE.includes(a) && 'alarms_at_large', onclick: () => ask(a) }, t(`command.${a}`))));
      }
      const here = listed();
      if (chosen.size > 0) {
        const ids = new Set(here.map((a) => a.alert_id));
        for (const id of chosen) if (!ids.has(id)) chosen.delete(id);
      }
      for (const b of group.children) b.disabled = chosen.size === 0;
      setText(note, chosen.size > 0 ? t('alarms.chosen', { n: ctx.fmt.count(chosen.size) }) : t('alarms.choose'));
      const seen = visible();
      all.hidden = chosen.size === 0 || chosen.size >= here.length || !seen.every((a) => chosen.has(a.alert_id));
      setText(all, t('alarms.choose.all', { n: ctx.fmt.count(here.length) }));
      none.hidden = chosen.size === 0;
    },
  };
}
