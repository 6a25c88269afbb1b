// A tour of everything that the page can show: its pages, lists and dialogs, each with something in it.
import { api, base, eventually, PATIENCE, publish } from './plant.js';

/** What the tour's devices are: one with a critical alarm, one with a high one, one whose alarm is over, one put aside. */
export const DEVICES = { critical: 'tour_1', high: 'tour_2', over: 'tour_3', aside: 'tour_4' };
export const BUILDING = '试验栋';

/** PAGES are addresses after '#/'; {critical} is the id of an alarm. */
export const PAGES = [
  'overview', `trends?devices=${DEVICES.critical},${DEVICES.high}&range=5m`, 'alarms', 'alarms?alert={critical}', 'alarms?tab=over', 'alarms?tab=aside', 'alarms?tab=journal', 'alarms?tab=top',
  'devices', 'devices?group=room', `device/${DEVICES.critical}`, 'gateways', 'system', 'rules', 'rules/temperature_high', 'rules/temperature_high?tab=versions', 'plan', 'report', 'shiftnotes', 'audit', 'people',
];

const click = (selector) => (page) => page.locator(selector).first().click();

/** action opens the dialog of a command to the first alarm of the list. */
const action = (name) => async (page) => {
  await page.locator('.alarm-row input[type=checkbox]').first().check();
  await page.locator(`[data-action=${name}]`).click();
};

/** DIALOGS are [name, page, how to open it]. */
export const DIALOGS = [
  ['views', 'overview', click('[data-views]')],
  ['finder', 'overview', click('[data-search]')],
  ['call', 'overview', click('[data-call]')],
  ['help', 'overview', (page) => page.keyboard.press('?')],
  ['acknowledge', 'alarms', action('acknowledge')],
  ['shelve', 'alarms', action('shelve')],
  ['assign', 'alarms', action('assign')],
  ['out_of_service', 'alarms', action('out_of_service')],
  ['comment', 'alarms', action('comment')],
  ['columns', 'devices', click('[data-columns]')],
  ['rename', `device/${DEVICES.critical}`, click('[data-rename]')],
  ['remove', `device/${DEVICES.critical}`, click('[data-remove]')],
  ['maintain', `device/${DEVICES.critical}`, click('[data-maintain]')],
  ['document', `device/${DEVICES.critical}`, click('[data-document-add]')],
  ['note', `device/${DEVICES.critical}`, click('[data-note-add]')],
  ['write', 'shiftnotes', click('[data-write]')],
  ['sign', 'shiftnotes', click('[data-sign]')],
];

/** CHOICES are [page, what a person chooses there]: everything that changes what is seen, of the building that the tour's devices are in. */
export const CHOICES = [
  ['overview', [['select', '.fleet .panel-head select', 'temperature'], ['select', '.means .panel-head select', 'humidity'], ['click', '.means [data-range="1m"]']]],
  ['trends', [['click', '[data-range="1m"]'], ['click', '[data-sensor=humidity]']]],
  ['alarms', [['click', '[data-tab=over]'], ['click', '.panel-head .chip-high'], ['select', '[data-sort]', 'device'], ['click', '[data-fold]'], ['fill', '[data-q]', DEVICES.over]]],
  ['alarms', [['click', '[data-tab=journal]'], ['fill', '[data-field=q]', 'tour'], ['click', '.past-bar [data-range="7d"]']]],
  ['devices', [['select', '[data-group-by]', 'room'], ['fill', 'input[type=search]', 'tour']]],
  ['report', [['click', '[data-kind=week]'], ['click', '[data-step="-1"]']]],
  ['rules', [['fill', '[data-rule-filter]', 'temp']]],
  ['shiftnotes', [['select', '[data-field=priority]', 'true']]],
  ['audit', [['select', '[data-field=action]', 'shelve'], ['fill', '[data-field=by]', '李工']]],
];

async function post(path, body) {
  const r = await fetch(base + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE) });
  if (!r.ok) throw new Error(`${path}: ${r.status} ${await r.text()}`);
}

/** furnish gives every page of a plant something to show, and returns the ids of its alarms by what they are. */
export async function furnish() {
  const place = { location: { building: BUILDING, floor: 7, room: '702' } };
  for (let s = 40; s > 0; s -= 2) await publish(DEVICES.critical, { temperature: 21, humidity: 55, current: 8 - 0.05 * s + 0.3 * (s % 3) }, { ...place, timestamp: Date.now() - s * 1000 });
  for (const [what, id] of Object.entries(DEVICES)) await publish(id, { temperature: what === 'critical' ? 21 : 82, humidity: 55, current: what === 'critical' ? 12 : 2 }, place);
  const alarms = Object.fromEntries(await Promise.all(Object.entries(DEVICES).map(async ([what, id]) => {
    const a = await eventually(`an alarm of ${id}`, async () => (await api(`/api/v1/alerts?device_id=${id}&status=active&suppressed=false`)).items.find((x) => x.severity === (what === 'critical' ? 'critical' : 'high')));
    return [what, a.alert_id];
  })));
  await publish(DEVICES.over, { temperature: 21 }, place);
  const by = '李工';
  await post('/api/v1/alerts/commands', { action: 'shelve', by, note: '更换传感器', until: Date.now() + 3_600_000, alert_ids: [alarms.aside] });
  await post('/api/v1/alerts/commands', { action: 'comment', by, note: '3 号泵漏水', alert_ids: [alarms.critical] });
  await post(`/api/v1/devices/${DEVICES.critical}/notes`, { by, text: '备件在 2 号柜' });
  await post('/api/v1/shiftnotes', { id: 'tour', by, building: '', text: '3 号泵已停，等备件', priority: true, shift_start: Date.now() - 60_000 });
  await post('/api/v1/views', { by, name: '紧急告警', scope: 'shared', page: 'alarms', query: 'severity=critical' });
  await eventually('the end of an alarm', async () => (await api(`/api/v1/alerts/${alarms.over}`)).alert.status === 'cleared');
  await eventually('the journal of it', async () => (await api(`/api/v1/journal?device_id=${DEVICES.over}`)).items.some((a) => a.cleared_at));
  return alarms;
}

/** tour returns go(path): shows a page and waits until nothing is asked for any more and it is drawn. */
export function tour(page) {
  let open = 0;
  page.on('request', () => open++);
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, () => open--);

  /** settled waits for what was asked for, for live data (what is stale is faint), and for two frames. */
  async function settled() {
    for (const end = Date.now() + PATIENCE; ;) {
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const waits = await page.evaluate(() => document.querySelector('.page').children.length < 2 || document.body.classList.contains('is-stale'));
      if (open <= 0 && !waits) return;
      if (Date.now() > end) throw new Error(`${page.url()} is still loading`);
    }
  }

  return {
    settled,
    async go(path) {
      await page.evaluate((hash) => (location.hash = hash), `#/${path}`);
      await page.waitForFunction((name) => location.hash.startsWith(`#/${name}`) && document.getElementById('page'), path.split(/[?/]/)[0]);
      await settled();
    },
  };
}
