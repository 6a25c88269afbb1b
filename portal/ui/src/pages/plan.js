// The plan of a floor: its picture, and where on it the devices are. Whoever changes it moves them with the mouse, a
// finger or the arrow keys.
import { get, send } from '../core/api.js';
import { h, setClass, setText } from '../core/dom.js';
import { imagePath, move, planPath, read, remove, step, unplaced, write } from '../model/plan.js';
import { askBy } from '../parts/command.js';
import { choosePicture, sendPicture } from '../parts/plan-image.js';
import { createPlanMap } from '../parts/plan-map.js';
import { createPlaceTitle } from '../parts/place.js';
import { failure } from '../parts/views.js';

const RELOAD = 15_000;
const MIDDLE = 50; // percent: where a device comes that is placed by the keyboard

export function createPlanPage(ctx, scope, route) {
  const { t } = ctx;
  let floor = route.params.f ?? '';
  let building = ctx.view.building;
  let plan = null; // as the portal has it
  let draft = null; // {points, picture} while it is changed
  let failed = '';
  let refused = ''; // why the file that was chosen is no picture

  const title = createPlaceTitle(ctx);
  const map = createPlanMap(ctx);
  const floors = h('select', { class: 'control is-small', 'aria-label': t('filter.floor'), 'data-floor': true, onchange: () => go(floors.value) });
  const status = h('p', { class: 'panel-note', role: 'status', 'data-plan-status': true });
  const list = h('ul', { class: 'plan-list', 'data-unplaced': true });
  const beside = h('aside', { class: 'plan-beside', hidden: true, 'aria-label': t('plan.unplaced') }, h('h2', { class: 'panel-title' }, t('plan.unplaced')), h('p', { class: 'panel-note' }, t('plan.how')), list);
  const edit = h('button', { class: 'button is-small', 'data-edit': true, 'data-needs': 'keep_notes', onclick: begin }, t('plan.edit'));
  const save = h('button', { class: 'button is-small is-primary', 'data-save': true, onclick: keep }, t('plan.save'));
  const leave = h('button', { class: 'button is-small', 'data-leave': true, onclick: end }, t('cancel'));
  const choose = choosePicture(ctx, t('plan.picture'), (picture) => {
    draft.picture = picture;
    refused = '';
    draw();
  }, (why) => {
    refused = why;
    draw();
  });
  const tools = h('span', { class: 'group', hidden: true }, choose, save, leave);

  const here = () => ctx.fleet.sorted().filter((d) => d.building === building && String(d.floor) === floor);

  function go(next) {
    floor = next;
    ctx.setParams({ f: floor });
    [plan, draft, failed] = [null, null, ''];
    draw();
    load();
  }

  async function load() {
    if (draft || !building || floor === '') return;
    const [b, f] = [building, floor];
    try {
      const a = await get(planPath(b, f));
      if (scope.isOver() || draft || b !== building || f !== floor) return;
      plan = a.plan;
      failed = '';
    } catch (e) {
      failed = failure(ctx, e);
    }
    if (!scope.isOver()) draw();
  }

  function begin() {
    draft = { points: read(plan?.points ?? []), picture: null };
    refused = '';
    draw();
  }

  function end() {
    draft = null;
    draw();
    load();
  }

  /** keep sends the picture, if it is another one, and the points; the portal refuses them if somebody else was faster. */
  function keep() {
    askBy(ctx, t('plan.save'), `${building} · ${t('floor', { n: floor })}`, [], async (by) => {
      const image = draft.picture ? await sendPicture(by, draft.picture) : plan.image;
      const ours = new Set(here().map((d) => d.id));
      const points = write(draft.points, (id) => ours.has(id) || !ctx.fleet.byID.has(id));
      const a = await send('PUT', planPath(building, floor), { by, image, points }, { headers: { 'If-Match': `"${plan.version}"` }, within: 20_000 });
      [plan, draft] = [a.plan, null];
      draw();
      return a;
    }, (e) => failure(ctx, e));
  }

  let known = '';
  function options() {
    const all = [...new Set(ctx.fleet.sorted().filter((d) => d.building === building).map((d) => d.floor))].sort((a, b) => a - b);
    if (floor === '' && all.length > 0) {
      floor = String(all[0]);
      ctx.setParams({ f: floor });
      load();
    }
    const key = JSON.stringify([building, all]);
    if (key !== known) {
      known = key;
      floors.replaceChildren(...all.map((n) => h('option', { value: String(n) }, t('floor', { n }))));
    }
    floors.value = floor;
  }

  function draw() {
    if (building !== ctx.view.building) {
      building = ctx.view.building;
      [plan, draft, failed] = [null, null, ''];
      floor = '';
    }
    options();
    title.show({ building, floor, room: '' });
    const points = draft?.points ?? read(plan?.points ?? []);
    const url = draft?.picture?.url ?? (plan?.image ? imagePath(plan.image) : '');
    const devices = here();
    map.show(url, points, devices, Boolean(draft));
    setClass(map.el, 'is-empty', !url);
    setClass(map.el, 'is-editing', Boolean(draft));
    tools.hidden = beside.hidden = !draft;
    edit.hidden = Boolean(draft) || !plan;
    save.disabled = !url;
    setText(status, said(url, devices, points));
    if (draft) fillList(unplaced(devices, points), Boolean(url));
  }

  function said(url, devices, points) {
    if (failed) return failed;
    if (draft && refused) return refused;
    if (!building) return t('plan.building');
    if (!plan) return t('load.wait');
    if (!url) return t(draft ? 'plan.none.edit' : 'plan.none');
    const placed = devices.filter((d) => points.has(d.id)).length;
    const by = plan.version > 0 && !draft ? ` · ${plan.changed_by} ${ctx.fmt.moment(plan.changed_at, ctx.plant.serverNow(), ctx.lang())}` : '';
    return t('plan.count', { n: ctx.fmt.count(placed), total: ctx.fmt.count(devices.length) }) + by;
  }

  function fillList(devices, possible) {
    const key = JSON.stringify([devices.map((d) => d.id), possible]);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...devices.map((d) => h('li', { 'data-id': d.id, class: 'plan-item' }, h('span', { class: 'plan-item-name' }, d.name || d.id, h('span', { class: 'sub' }, d.room)),
      h('button', { class: 'button is-small', type: 'button', disabled: !possible, 'data-place-device': d.id, onclick: () => place(d.id) }, t('plan.place')))));
  }

  /** place puts a device into the middle, where the arrow keys take it from. */
  function place(id) {
    draft.points = move(draft.points, id, MIDDLE, MIDDLE);
    draw();
    map.point(id)?.focus();
  }

  /** drag follows a pointer from a point, or from the list, until it is lifted. */
  function drag(event) {
    const id = event.target.closest('[data-id]')?.dataset.id;
    const fromList = list.contains(event.target);
    if (!draft || !id || event.button !== 0 || map.picture.hidden || (fromList && event.target.closest('button'))) return;
    event.preventDefault();
    const follow = (e) => {
      const { x, y } = map.at(e);
      const outside = x < 0 || x > 100 || y < 0 || y > 100;
      if (!draft || (outside && !draft.points.has(id))) return;
      draft.points = move(draft.points, id, x, y);
      draw();
    };
    const lift = () => {
      for (const [name, f] of [['pointermove', follow], ['pointerup', lift], ['pointercancel', lift]]) removeEventListener(name, f);
      map.point(id)?.focus();
    };
    for (const [name, f] of [['pointermove', follow], ['pointerup', lift], ['pointercancel', lift]]) addEventListener(name, f);
  }

  function onKey(event) {
    const id = event.target.closest('.plan-point')?.dataset.id;
    if (!draft || !id || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = ['Delete', 'Backspace'].includes(event.key) ? remove(draft.points, id) : step(draft.points, id, event.key, event.shiftKey);
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    draft.points = next;
    draw();
    if (!next.has(id)) list.querySelector('button')?.focus();
  }

  scope.listen(map.el, 'pointerdown', drag);
  scope.listen(list, 'pointerdown', drag);
  scope.listen(map.el, 'keydown', onKey);
  scope.draw(draw, ['fleet', 'view']);
  scope.every(RELOAD, load);
  return h('section', { class: 'panel plan-page' },
    h('header', { class: 'panel-head' }, title.el, floors, h('span', { class: 'panel-space' }), edit, tools),
    status, h('div', { class: 'plan-body' }, map.el, beside));
}
