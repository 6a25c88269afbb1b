// Pages whose code comes when they are opened first, so that the first page has little to wait for.
import { h } from './dom.js';

/** later returns a page's function that gets the real one from load() and shows it once it is there. */
export function later(load) {
  let make = null;
  return (ctx, scope, route) => {
    if (make) return make(ctx, scope, route);
    const el = h('p', { class: 'panel-note', role: 'status' }, ctx.t('load.wait'));
    load().then((made) => {
      make = made;
      if (!scope.isOver()) el.replaceWith(make(ctx, scope, route));
    }, (e) => { // the portal is away, or a newer one has other files
      el.replaceChildren(`${ctx.t('load.failed', { why: e.message })} `, h('button', { class: 'button is-small', onclick: () => location.reload() }, ctx.t('load.again')));
    });
    return el;
  };
}
