// The keys, in a dialog.
import { h } from '../core/dom.js';

const KEYS = [
  ['Ctrl K', 'help.search'],
  ['/', 'help.search'],
  ['↑ ↓', 'help.rows'],
  ['g o', 'nav.overview'],
  ['g t', 'nav.trends'],
  ['g a', 'nav.alarms'],
  ['g d', 'nav.devices'],
  ['g n', 'nav.shiftnotes'],
  ['g w', 'nav.gateways'],
  ['g s', 'nav.system'],
  ['g r', 'nav.rules'],
  ['g p', 'nav.report'],
  ['g u', 'nav.audit'],
  ['p', 'help.pause'],
  ['a', 'help.acknowledge'],
  ['← →', 'help.pan'],
  ['+ −', 'help.zoom'],
  ['␣', 'help.choose'],
  ['↵', 'help.row'],
  ['k', 'help.kiosk'],
  ['Esc', 'help.close'],
  ['?', 'help.open'],
];

export function showHelp(ctx) {
  const { t } = ctx;
  const dialog = h('dialog', { class: 'dialog', 'aria-label': t('help.open') },
    h('h2', {}, t('help.open')),
    h('dl', { class: 'facts' }, KEYS.flatMap(([key, what]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, t(what))])),
    h('p', { class: 'panel-note' }, h('a', { href: '/api/docs' }, t('system.docs'))),
    h('div', { class: 'dialog-end' }, h('button', { class: 'button is-primary', onclick: () => dialog.close(), autofocus: true }, t('close'))));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
