// The shift log, notes on a device and saved views in a real browser: the page from dist, and a portal that
// keeps them in memory, or has no database.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { standIn } from './standin.js';

const EVIL = '<img src=x onerror="globalThis.evil=1">\n3号泵';

let portal;
let notes;
let views;
let away; // the database is
let requests;

/** answer is what the portal answers: [status, body]. */
function answer(method, path, body, match) {
  const refuse = (status, code) => [status, { error: { code, message: code } }];
  const page = (items) => [200, { total: items.length, count: items.length, offset: 0, time: Date.now(), more: false, items }];
  const doc = (more) => ({ id: body.id ?? `v${views.length}`, version: 1, created_at: Date.now(), created_by: body.by, changed_at: Date.now(), changed_by: body.by, deleted: false, ...more });
  if (method === 'GET' && away) return refuse(503, 'store_unavailable');
  const [kind, id, verb] = path.split('/').slice(3);
  if (method === 'GET') return page(kind === 'views' ? views : notes);
  if (kind === 'shiftnotes' && verb === 'sign') {
    const n = notes.find((x) => x.id === id);
    n.signatures = [...(n.signatures ?? []), { by: body.by, at: Date.now() }];
    return [200, { time: 1, outcome: 'saved', note: n }];
  }
  if (kind === 'shiftnotes') {
    const n = doc(body);
    for (const old of notes) if (old.id === body.replaces) old.replaced_by = n.id;
    notes.unshift(n);
    return [away ? 202 : 200, { time: 1, outcome: away ? 'pending' : 'saved', note: n }];
  }
  if (kind === 'devices') {
    if (method === 'POST') notes.unshift(doc({ text: body.text, device_id: id }));
    const n = notes[0];
    if (method !== 'POST' && match !== `"${n.version}"`) return refuse(409, 'conflict');
    if (method === 'PUT') Object.assign(n, { text: body.text, version: n.version + 1, changed_by: body.by });
    if (method === 'DELETE') notes.shift();
    return [200, { time: 1, outcome: 'saved', note: n }];
  }
  if (method === 'DELETE') {
    const v = views.find((x) => x.id === id);
    if (match !== `"${v.version}"`) return refuse(409, 'conflict');
    views = views.filter((x) => x !== v);
    return [200, { time: 1, outcome: 'saved', view: v }];
  }
  if (views.some((v) => v.name === body.name)) return refuse(409, 'name_taken');
  views.push(doc(body));
  return [200, { time: 1, outcome: 'saved', view: views.at(-1) }];
}

before(async () => {
  portal = await standIn(async ({ pathname }, req) => {
    if (!/^\/api\/v1\/(shiftnotes|views|devices\/[^/]+\/notes)/.test(pathname)) return null;
    let text = '';
    for await (const part of req) text += part;
    const body = text && JSON.parse(text);
    requests.push([req.method, pathname, body]);
    return answer(req.method, pathname, body || {}, req.headers['if-match']);
  });
});

after(() => portal?.close());

function open(t, hash, { lang = 'en-US', width = 1440 } = {}) {
  [notes, views, away, requests] = [[], [], false, []];
  return portal.open(t, hash, { lang, width, height: 844 });
}

async function write(page, text, by = '李工') {
  await page.fill('textarea[name=text]', text);
  await page.fill('input[name=by]', by);
  await page.click('dialog button[type=submit]');
  await page.waitForSelector('dialog', { state: 'detached' });
}

for (const [lang, width] of [['en-US', 1440], ['zh-CN', 390]]) {
  test(`a shift writes, signs and corrects (${lang}, ${width})`, async (t) => {
    const page = await open(t, '#/shiftnotes', { lang, width });
    await page.focus('[data-write]');
    await page.keyboard.press('Enter');
    await page.check('input[name=priority]');
    await write(page, EVIL);
    await page.waitForSelector('tr[data-note]');
    assert.equal(await page.textContent('.note-text'), EVIL, 'text stays text');
    await page.click('[data-sign]');
    await page.fill('input[name=by]', '王工');
    await page.click('dialog button[type=submit]');
    await page.waitForFunction(() => document.querySelector('.signature')?.textContent === '王工');
    await page.click('[data-correct]');
    assert.equal(await page.inputValue('textarea[name=text]'), EVIL);
    await write(page, '4号泵');
    await page.waitForSelector('.is-replaced');
    assert.equal(await page.locator('.is-replaced button').count(), 0, 'what was corrected is not corrected again');
    const sent = requests.filter(([method]) => method === 'POST').map(([, , body]) => body);
    assert.equal(sent[2].replaces, sent[0].id);
    assert.equal(sent[2].shift_start, sent[0].shift_start);
    assert.notEqual(sent[2].id, sent[0].id);
    assert.equal(await page.evaluate(() => globalThis.evil), undefined);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
  });
}

test('a note is written while the database is away', async (t) => {
  const page = await open(t, '#/shiftnotes');
  away = true;
  await page.reload();
  await page.waitForFunction(() => document.querySelector('.alarm-panel > .panel-note')?.textContent.includes('database is away'));
  await page.click('[data-write]');
  await write(page, 'in the dark');
  await page.waitForFunction(() => document.querySelector('.notice').textContent.startsWith('Saved.'));
  assert.equal(notes.length, 1);
});

test('a view is saved, opened and deleted by keys', async (t) => {
  const page = await open(t, '#/alarms?severity=critical');
  await page.focus('[data-views]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog input[name=name]:focus');
  await page.keyboard.type('<b>critical</b>');
  await page.fill('dialog input[name=by]', '李工');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.view-row a');
  assert.equal(await page.textContent('.view-row a'), '<b>critical</b>');
  assert.deepEqual([views[0].page, views[0].query, views[0].scope], ['alarms', 'severity=critical', 'shared']);
  await page.fill('dialog input[name=name]', '<b>critical</b>');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('.dialog-error').textContent.includes('the name is taken'));
  await page.keyboard.press('Escape');
  await page.goto(`${portal.at}/#/overview`);
  await page.click('[data-views]');
  await page.click('.view-row a');
  await page.waitForFunction(() => /^#.alarms.severity=critical/.test(location.hash));
  views[0].version = 2; // somebody else changes it
  await page.click('[data-views]');
  await page.waitForSelector('.view-row button');
  views[0].version = 3;
  const gone = page.locator('.view-row button');
  await gone.focus();
  await page.keyboard.press('Enter');
  assert.equal(views.length, 1, 'once is not enough');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('.dialog-error').textContent.includes('somebody else'));
  await gone.focus();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('.view-row').length === 0);
});

test('a note on a device is written, changed and deleted', async (t) => {
  const page = await open(t, '#/device/d1');
  await page.waitForFunction(() => document.querySelector('.device-notes .panel-note')?.textContent.startsWith('No notes'));
  await page.click('[data-note-add]');
  await write(page, EVIL);
  await page.waitForSelector('.note-row');
  assert.equal(await page.textContent('.note-row .note-text'), EVIL, 'text stays text');
  await page.locator('.note-row button').first().click();
  assert.equal(await page.inputValue('textarea[name=text]'), EVIL);
  await write(page, 'changed', '王工');
  await page.waitForFunction(() => /王工 .* edited/.test(document.querySelector('.note-row .sub').textContent));
  notes[0].version = 9; // somebody else changes it
  await page.locator('.note-row button').last().click();
  await page.click('dialog button[type=submit]');
  await page.waitForFunction(() => document.querySelector('.dialog-error').textContent.includes('somebody else'));
  await page.keyboard.press('Escape');
  await page.locator('.note-row button').last().click();
  await page.click('dialog button[type=submit]');
  await page.waitForFunction(() => document.querySelectorAll('.note-row').length === 0);
  assert.equal(await page.evaluate(() => globalThis.evil), undefined);
});
