// What stands above a page on paper: title, building, filters, time. Rows of long tables are made for it.
import { h } from '../core/dom.js';

/** createPrintHead keeps the head up to date for when the browser prints. */
export function createPrintHead(ctx, scope) {
  const el = h('div', { class: 'print-head' });
  scope.listen(window, 'beforeprint', () => {
    const { page, subject, params } = ctx.route();
    const filters = [...document.querySelectorAll('.page :is(select, input[type=search]).control')]
      .filter((x) => x.value !== '' && !x.hidden && Object.values(params).includes(x.value))
      .map((x) => x.selectedOptions?.[0]?.textContent ?? x.value);
    const where = ctx.view.building || ctx.t('bar.buildings');
    const now = ctx.plant.serverNow();
    el.replaceChildren(
      h('h2', {}, `${ctx.t('title')} · ${ctx.t(`nav.${page === 'device' ? 'devices' : page}`)}${subject ? ` · ${subject}` : ''}`),
      h('p', {}, [where, ...filters, `${new Date(now).toLocaleString(ctx.lang() === 'zh' ? 'zh-CN' : 'en-GB')} (${ctx.fmt.utc(now)})`].join(' · ')));
  });
  return el;
}
