// The mark of an alarm flood. What a flood is, the portal says: the page counts nothing of its own.
import { get, query } from '../core/api.js';
import { h, setAttr, setText } from '../core/dom.js';

const SOON = 3000; // ms between two questions while alarms change
const LATE = 15_000; // and while they do not

/** createFloodBadge asks for the summary now and then; onSummary gets each. */
export function createFloodBadge(ctx, scope, onSummary = () => {}) {
  const { t } = ctx;
  const el = h('span', { class: 'flood-badge num', hidden: true, role: 'status' });
  let asked = -Infinity;
  let about = '';

  async function ask() {
    const now = `${ctx.alarms.version()} ${ctx.view.building}`;
    if (now === about && Date.now() - asked < LATE) return;
    about = now;
    asked = Date.now();
    const summary = await get(`/api/v1/alerts/summary${query({ building: ctx.view.building })}`);
    if (scope.isOver()) return;
    show(summary.flood);
    onSummary(summary);
  }

  function show(flood) {
    el.hidden = !flood.active;
    if (!flood.active) return;
    setText(el, t('flood.badge', { n: ctx.fmt.count(flood.alarms), time: ctx.fmt.moment(flood.since, ctx.plant.serverNow(), ctx.lang()) }));
    setAttr(el, 'title', t('flood.rule', { limit: flood.limit, end: flood.ends_below }));
  }

  scope.every(SOON, () => ask().catch((e) => {
    about = '';
    throw e;
  }));
  return { el };
}
