// What people keep about a device beside its notes: documents elsewhere, a photo, and its place on the plan of its floor.
import { get, send } from '../core/api.js';
import { h } from '../core/dom.js';
import { imagePath, planPath, read } from '../model/plan.js';
import { panel } from './badge.js';
import { askBy } from './command.js';
import { choosePicture, sendPicture } from './plan-image.js';
import { createPlanMap } from './plan-map.js';
import { failure } from './views.js';

const RELOAD = 30_000;

/** createDeviceAbout returns the panel. */
export function createDeviceAbout(ctx, scope, id) {
  const { t } = ctx;
  const path = `/api/v1/registry/${encodeURIComponent(id)}`;
  const list = h('ul', { class: 'document-list' });
  const status = h('p', { class: 'panel-note', role: 'status' });
  const photo = h('img', { class: 'device-photo', alt: t('photo.of', { device: ctx.deviceName(id) }), hidden: true });
  const drop = h('button', { class: 'button is-small', 'data-photo-remove': true, 'data-needs': 'keep_notes', hidden: true, onclick: () => change(t('photo.remove'), ctx.deviceName(id), [], () => ({ photo: '' })) }, t('photo.remove'));
  const map = createPlanMap(ctx, { only: id });
  const toPlan = h('a', { class: 'link', 'data-spot': true, hidden: true }, t('plan.spot'));
  const noSpot = h('a', { class: 'link', hidden: true }, t('plan.nospot'));
  let facts = null; // as the portal has them
  let plan = null;

  async function load() {
    try {
      facts = await get(path);
      status.textContent = '';
    } catch (e) {
      status.textContent = e.status === 404 ? '' : failure(ctx, e);
    }
    if (!scope.isOver()) draw();
  }

  async function loadPlan() {
    const d = ctx.fleet.byID.get(id);
    if (!d?.building) return;
    plan = await get(planPath(d.building, d.floor)).then((a) => a.plan, () => plan);
    if (!scope.isOver()) drawSpot();
  }

  function draw() {
    const key = JSON.stringify([facts?.documents, facts?.photo]);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...(facts?.documents ?? []).map((d, i) => h('li', { class: 'document-row' },
      h('a', { href: d.url, target: '_blank', rel: 'noopener noreferrer', title: d.url }, d.title),
      h('button', { class: 'button is-small', 'data-needs': 'keep_notes', 'aria-label': t('documents.remove.what', { title: d.title }), onclick: () => change(t('documents.remove'), d.title, [], () => ({ documents: facts.documents.filter((_, k) => k !== i) })) }, t('documents.remove')))));
    photo.hidden = drop.hidden = !facts?.photo;
    if (facts?.photo) photo.src = imagePath(facts.photo);
    else photo.removeAttribute('src');
  }

  function drawSpot() {
    const d = ctx.fleet.byID.get(id);
    if (!d || !plan) return;
    const points = read(plan.points);
    const href = ctx.pageHref('plan', { b: d.building, f: d.floor });
    const known = Boolean(plan.image) && points.has(id);
    toPlan.hidden = map.el.hidden = !known;
    noSpot.hidden = known || !d.building;
    toPlan.href = noSpot.href = href;
    map.show(known ? imagePath(plan.image) : '', points, [d]);
  }

  /** change asks who changes the facts; more() is what becomes different. */
  function change(title, subject, fields, more) {
    askBy(ctx, title, subject, fields, async (by) => {
      const f = facts.device;
      return send('PUT', path, { by, place: f.place, expected_interval_s: f.expected_interval_s, ...(await more(by)) }, { headers: { 'If-Match': `"${facts.version}"` } }).finally(load);
    }, (e) => (e.code === 'bad_field' ? t('documents.refused') : failure(ctx, e)));
  }

  function addDocument() {
    const title = h('input', { class: 'control', name: 'title', required: true, maxlength: '128' });
    const url = h('input', { class: 'control', name: 'url', type: 'url', required: true, maxlength: '1024', placeholder: 'https://', pattern: 'https?://.+', title: t('documents.refused') });
    change(t('documents.add'), ctx.deviceName(id), [h('label', {}, t('documents.title'), title), h('label', {}, t('documents.url'), url)],
      () => ({ documents: [...facts.documents, { title: title.value.trim(), url: url.value.trim() }] }));
    title.focus();
  }

  const choose = choosePicture(ctx, t('photo.choose'), (picture) => {
    status.textContent = '';
    change(t('photo.choose'), ctx.deviceName(id), [h('img', { class: 'device-photo', src: picture.url, alt: '' })], async (by) => ({ photo: await sendPicture(by, picture) }));
  }, (why) => (status.textContent = why));
  const out = panel('device-about', t('documents.head'), h('div', { class: 'device-about-body' }, h('div', {}, list, status), h('div', { class: 'device-about-pictures' }, photo, h('div', { class: 'plan-small' }, map.el, toPlan, noSpot))));
  map.el.hidden = true;
  out.head.append(h('span', { class: 'panel-space' }), h('button', { class: 'button is-small', 'data-document-add': true, 'data-needs': 'keep_notes', onclick: addDocument }, t('documents.add')), choose, drop);
  scope.every(RELOAD, load);
  scope.every(RELOAD, loadPlan);
  let known = false;
  scope.draw(() => {
    map.draw();
    if (!known && ctx.fleet.byID.has(id)) loadPlan();
    known = ctx.fleet.byID.has(id);
  }, ['fleet']);
  return out.el;
}
