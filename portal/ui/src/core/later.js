// Pages whose code comes after the first page, so that this has little to wait for.
import { h } from './dom.js';

/**
 * later returns a page's function that gets the real one from load() and shows it once it is there. Its prefetch()
 * loads it before it is opened: then it is there at once, also when the portal is away or has been replaced by a
 * newer one, which has other files.
 */
export function later(load) {
  let make = null;
  const ready = () => load().then((made) => (make = made));
  const page = (ctx, scope, route) => {
    if (make) return make(ctx, scope, route);
    const el = h('p', { class: 'panel-note', role: 'status' }, ctx.t('load.wait'));
    ready().then(() => {
      if (!scope.isOver()) el.replaceWith(make(ctx, scope, route));
    }, (e) => {
      el.replaceChildren(`${ctx.t('load.failed', { why: e.message })} `, h('button', { class: 'button is-small', onclick: () => location.reload() }, ctx.t('load.again')));
    });
    return el;
  };
  page.prefetch = () => ready().catch(() => {}); // it is tried again when it is opened
  return page;
}

const sheets = new Map(); // those that have come, or are coming

/** sheet loads the style sheet of pages that come later, once. */
export function sheet(name) {
  if (!sheets.has(name)) {
    sheets.set(name, new Promise((loaded, failed) => {
      const link = h('link', { rel: 'stylesheet', href: `/${name}.css`, onload: loaded, onerror: () => {
        link.remove();
        sheets.delete(name);
        failed(new Error(`${name}.css`));
      } });
      document.head.append(link);
    }));
  }
  return sheets.get(name);
}
