// Calling somebody who looks away: the title and the icon of the tab, tones, and desktop notifications. Tones and
// notifications are off until somebody switches them on; of several tabs one makes them.
import { h, setAttr, setClass, setText, shapes } from '../core/dom.js';
import { remembered } from '../core/remembered.js';
import { needsAttention, SEVERITIES } from '../model/alarms.js';
import { createCall, groupOf, headline, SILENCE, TONES } from '../model/call.js';
import { createSpeaker, createTurn } from './speaker.js';

const PACE = 250; // ms between two changes of title and icon
const LOOK = 500; // ms between two looks at whether it is time to sound
const FILLS = { critical: '#d92d3f', high: '#e87722', medium: '#f2c400', low: '#4c7de0' };
const KEY = 'call';

/** iconOf is the icon of the tab: the worst priority's shape and colour. */
function iconOf(severity) {
  if (!severity) return '/icon.svg';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="${FILLS[severity]}" d="${shapes[severity]}"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

function readSettings() {
  try {
    const s = JSON.parse(remembered.get(KEY) ?? '{}');
    return { sound: s.sound === true, notify: s.notify === true, volume: Number.isFinite(s.volume) ? Math.min(Math.max(s.volume, 0), 1) : 0.5 };
  } catch {
    return { sound: false, notify: false, volume: 0.5 };
  }
}

/** createCaller returns what calls. It works while the tab is hidden, so it draws nothing by the page's scheduler. */
export function createCaller(ctx) {
  const call = createCall();
  const speaker = createSpeaker();
  const turns = { sound: createTurn('iot-sound'), notify: createTurn('iot-notify') };
  const others = new BroadcastChannel('iot-call'); // what is seen in one tab is seen in all
  const icon = document.querySelector('link[rel=icon]');
  const told = new Map(); // group → alert_id of its notification
  let settings = readSettings();
  let title = document.title;
  let drawn = -Infinity;
  let timer = 0;

  const canNotify = () => 'Notification' in globalThis && Notification.permission === 'granted';

  /** mode is what the button in the bar shows. */
  function mode() {
    if (!settings.sound) return 'off';
    if (!speaker.maySound()) return 'blocked';
    if (Date.now() < call.silentUntil()) return 'silent';
    return call.calls() ? 'calling' : 'on';
  }

  function claim() {
    turns.sound.want(settings.sound && speaker.maySound());
    turns.notify.want(settings.notify && canNotify());
    if (!speaker.maySound()) return;
    if (turns.sound.isMine()) speaker.wake();
    else speaker.rest();
  }

  function show() {
    clearTimeout(timer);
    timer = 0;
    drawn = Date.now();
    const by = ctx.alarms.countBySeverity((a) => a.status === 'active' && needsAttention(a));
    const text = headline(title, by);
    if (document.title !== text) document.title = text;
    if (icon) setAttr(icon, 'href', iconOf(SEVERITIES.find((s) => by[s] > 0)));
  }

  function showSoon() {
    if (Date.now() - drawn >= PACE) show();
    else if (!timer) timer = setTimeout(show, PACE);
  }

  function step() {
    const now = Date.now();
    const severity = call.due(now);
    if (severity && settings.sound && turns.sound.isMine() && speaker.isRunning()) {
      speaker.play(TONES[severity], settings.volume);
      ctx.debug.sounds = (ctx.debug.sounds ?? 0) + 1;
      call.played(severity, now);
    }
    ctx.wake('call');
  }

  function notify(a) {
    if (!settings.notify || !canNotify() || !turns.notify.isMine() || (!document.hidden && document.hasFocus())) return;
    const group = groupOf(a);
    const old = ctx.alarms.all.get(told.get(group));
    if (old && needsAttention(old) && old.alert_id !== a.alert_id) return; // one is enough
    told.set(group, a.alert_id);
    const n = new Notification(`${headline('', { [a.severity]: 1 }).slice(0, 1)} ${ctx.what(a)}`, { body: [ctx.deviceName(a.device_id), ctx.place(a.location)].filter(Boolean).join(' · '), tag: group, icon: iconOf(a.severity), lang: document.documentElement.lang });
    n.onclick = () => {
      focus();
      location.hash = ctx.alarmHref(a);
      n.close();
    };
  }

  function seen(tellOthers = true) {
    if (!call.calls()) return;
    call.seen();
    if (tellOthers) others.postMessage({ seen: true });
    step();
  }

  function silence(until, tellOthers = true) {
    call.silence(until);
    if (tellOthers) others.postMessage({ until });
    step();
  }

  others.onmessage = ({ data }) => (data.seen ? seen(false) : silence(data.until, false));
  addEventListener('storage', (e) => {
    if (e.key !== KEY) return;
    settings = readSettings();
    if (settings.sound) speaker.wake().then(claim);
    claim();
    ctx.wake('call', true);
  });
  // Who does something here has seen what there is; and browsers let a page sound from then on.
  for (const type of ['pointerdown', 'keydown']) {
    addEventListener(type, () => {
      if (settings.sound && !speaker.maySound()) speaker.wake().then(claim).then(step);
      seen();
    }, { capture: true });
  }
  if (settings.sound) speaker.wake().then(claim);
  claim();
  setInterval(() => {
    claim();
    step();
  }, LOOK);

  return {
    /** take learns of a frame of the topic alerts, after the model of alarms did. */
    take({ kind, data }) {
      if (kind === 'snapshot') call.keep((id) => ctx.alarms.all.get(id));
      if (kind === 'delta') {
        const a = ctx.alarms.all.get(data.alert.alert_id) ?? data.alert;
        const isNew = data.alert.event === 'raised' || data.alert.event === 'repeated' || data.alert.event === 'unsuppressed';
        if (call.take(a, isNew, ctx.plant.serverNow(), a.detected_at || a.timestamp)) notify(a);
        step();
      }
      showSoon();
    },
    /** name sets the page's title, which the mark of the worst alarms goes before. */
    name(text) {
      title = text;
      show();
    },
    mode,
    settings: () => settings,
    canNotify,
    seen,
    silence: () => silence(Date.now() < call.silentUntil() ? 0 : Date.now() + SILENCE),
    silentUntil: call.silentUntil,
    async set(change) {
      settings = { ...settings, ...change };
      remembered.set(KEY, JSON.stringify(settings));
      if (settings.sound) await speaker.wake();
      claim();
      ctx.wake('call', true);
    },
    async test(severity) {
      await speaker.wake();
      if (speaker.isRunning()) speaker.play(TONES[severity], settings.volume);
      ctx.wake('call', true);
    },
    speaker,
  };
}

/** createCallButton is the control in the bar. */
export function createCallButton(ctx, scope) {
  const { t } = ctx;
  const el = h('button', { class: 'button call-button', 'data-call': true, onclick: () => showCallDialog(ctx) }, '♪');
  scope.draw(() => {
    const mode = ctx.call.mode();
    const text = t('call.button', { mode: t(`call.mode.${mode}`) });
    setAttr(el, 'data-mode', mode);
    setAttr(el, 'aria-label', text);
    setAttr(el, 'title', text);
  }, ['call', 'tick']);
  return el;
}

function showCallDialog(ctx) {
  const { t } = ctx;
  const { settings } = ctx.call;
  const sound = h('input', { type: 'checkbox', name: 'sound', checked: settings().sound, onchange: () => ctx.call.set({ sound: sound.checked }) });
  const volume = h('input', { type: 'range', name: 'volume', min: '0', max: '1', step: '0.05', value: String(settings().volume), onchange: () => ctx.call.set({ volume: Number(volume.value) }) });
  const notify = h('input', { type: 'checkbox', name: 'notify', checked: settings().notify && ctx.call.canNotify(), disabled: !('Notification' in globalThis), onchange: askToNotify });
  const state = h('p', { class: 'call-state', role: 'status' });
  const silence = h('button', { class: 'button', 'data-silence': true, onclick: () => (ctx.call.silence(), say()) });
  const tests = SEVERITIES.map((s) => h('button', { class: 'button is-small', 'data-test': s, onclick: () => ctx.call.test(s).then(say) }, t(`severity.${s}`)));

  async function askToNotify() {
    if (notify.checked && Notification.permission === 'default') await Notification.requestPermission();
    notify.checked = notify.checked && ctx.call.canNotify();
    await ctx.call.set({ notify: notify.checked });
    say();
  }

  function say() {
    const mode = ctx.call.mode();
    const denied = 'Notification' in globalThis && Notification.permission === 'denied';
    const lines = [t(`call.state.${mode}`, { time: ctx.fmt.clock(ctx.call.silentUntil(), Date.now()) })];
    if (!('Notification' in globalThis)) lines.push(t('call.notify.none'));
    else if (denied) lines.push(t('call.notify.denied'));
    setText(state, lines.join(' '));
    setText(silence, t(mode === 'silent' ? 'call.unsilence' : 'call.silence'));
    setClass(state, 'is-bad', mode === 'blocked');
  }

  const dialog = h('dialog', { class: 'dialog call-dialog', 'aria-label': t('call.title') },
    h('h2', {}, t('call.title')),
    h('label', { class: 'call-line' }, sound, t('call.sound')),
    h('p', { class: 'panel-note' }, t('call.sound.note')),
    h('label', { class: 'call-line' }, t('call.volume'), volume),
    h('div', { class: 'call-line' }, h('span', {}, t('call.test')), tests),
    h('label', { class: 'call-line' }, notify, t('call.notify')),
    state,
    h('div', { class: 'dialog-end' }, silence, h('button', { class: 'button is-primary', onclick: () => dialog.close(), autofocus: true }, t('close'))));
  const timer = setInterval(say, LOOK);
  dialog.addEventListener('close', () => {
    clearInterval(timer);
    dialog.remove();
  });
  say();
  document.body.append(dialog);
  dialog.showModal();
}
