// The only place that creates elements. Text is always inserted as text, so nothing that a
// device or a person wrote can become markup.

/**
 * h makes an element. Props: class, dataset, style properties through `vars` (custom
 * properties only), on* listeners, anything else as an attribute (false and null leave it
 * out). Children are elements, strings, numbers, or null.
 */
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (key === 'class') el.className = value;
    else if (key.startsWith('on')) el.addEventListener(key.slice(2), value);
    else el.setAttribute(key, value === true ? '' : String(value));
  }
  el.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

/** setText changes an element's text only if it differs, to avoid layout. */
export function setText(el, text) {
  const s = String(text);
  if (el.textContent !== s) el.textContent = s;
}

/** setAttr does the same for an attribute; null removes it. */
export function setAttr(el, name, value) {
  if (value === null || value === undefined || value === false) {
    if (el.hasAttribute(name)) el.removeAttribute(name);
    return;
  }
  const s = value === true ? '' : String(value);
  if (el.getAttribute(name) !== s) el.setAttribute(name, s);
}

/** setClass switches one class. */
export function setClass(el, name, on) {
  el.classList.toggle(name, Boolean(on));
}

const SVG = 'http://www.w3.org/2000/svg';

/** Shapes of the priorities, distinguishable without colour. */
export const shapes = {
  critical: 'M8 1 15 8 8 15 1 8Z',
  high: 'M8 1.5 15 14H1Z',
  medium: 'M2 2h12v12H2Z',
  low: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z',
};

/** glyph returns the shape of a severity. */
export function glyph(severity) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', `glyph glyph-${shapes[severity] ? severity : 'low'}`);
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', shapes[severity] ?? shapes.low);
  svg.append(path);
  return svg;
}
