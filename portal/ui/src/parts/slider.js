// A handle that mouse, finger and keyboard move.
import { h, setAttr } from '../core/dom.js';

const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };

/**
 * createSlider makes a handle. move(event) is called while it is dragged, step(n) for a key, grip(on) when a drag begins and ends.
 * set({now, min, max, text}) is what a screen reader says.
 */
export function createSlider(name, { className, label, orientation, move, step, grip = () => {} }) {
  const text = h('span', { class: 'guide-text num', 'aria-hidden': 'true' });
  const el = h('div', { class: `guide ${className}`, role: 'slider', tabindex: '0', 'aria-label': label, 'aria-orientation': orientation, 'data-guide': name }, text);
  el.addEventListener('keydown', (e) => {
    const n = STEPS[e.key];
    if (!n || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    step(n);
  });
  el.addEventListener('pointerdown', (e) => {
    if (e.button !== 0) return;
    e.preventDefault();
    el.focus();
    el.setPointerCapture(e.pointerId);
    el.classList.add('is-dragged');
    grip(true);
  });
  el.addEventListener('pointermove', (e) => el.hasPointerCapture(e.pointerId) && move(e));
  el.addEventListener('lostpointercapture', () => {
    el.classList.remove('is-dragged');
    grip(false);
  });
  return {
    el,
    set(said) {
      setAttr(el, 'aria-valuenow', said.now);
      setAttr(el, 'aria-valuemin', said.min);
      setAttr(el, 'aria-valuemax', said.max);
      setAttr(el, 'aria-valuetext', said.text);
      if (text.textContent !== said.short) text.textContent = said.short;
    },
  };
}
