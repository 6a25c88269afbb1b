// Modal dialogs.
import { h } from '../core/dom.js';

const REACHED = 'a[href],button:not(:disabled),input:not(:disabled),select:not(:disabled),textarea:not(:disabled),[tabindex="0"]';

/**
 * openDialog shows a modal dialog. The keyboard does not leave it, not for the browser's own bar either, and
 * when it closes the focus goes back to where it was, or to what took that place when a list was drawn anew.
 */
export function openDialog(label, content) {
  const before = document.activeElement;
  const key = before?.closest?.('[data-key]')?.dataset.key;
  const dialog = h('dialog', { class: 'dialog', 'aria-label': label }, content);
  dialog.addEventListener('keydown', (event) => {
    if (event.key !== 'Tab') return;
    const all = [...dialog.querySelectorAll(REACHED)].filter((el) => el.offsetParent !== null);
    const edge = event.shiftKey ? all[0] : all.at(-1);
    if (all.length > 0 && document.activeElement !== edge && dialog.contains(document.activeElement)) return;
    event.preventDefault();
    (event.shiftKey ? all.at(-1) : all[0])?.focus();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    const again = before?.isConnected ? before : key && document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    again?.focus?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
