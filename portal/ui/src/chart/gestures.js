// Wheel, drag and fingers on a chart, as wishes to see another time. They do not change the chart.

const TURN = 100; // of a wheel's delta is one notch
const NOTCH = 1.25; // by which a notch zooms
const SLIP = 6; // px that a finger moves before it drags

/**
 * listen makes a chart's area answer to the wheel and to fingers. onZoom(at, factor) wants a range so many times longer in
 * which the time at keeps its place; onPan(by) wants it moved by so many ms.
 */
export function listen(u, { onZoom, onPan }) {
  const { over } = u;
  const width = () => over.clientWidth || 1;
  const timeAt = (clientX) => u.posToVal(clientX - over.getBoundingClientRect().left, 'x') * 1000;
  const perPixel = () => ((u.scales.x.max - u.scales.x.min) * 1000) / width();

  over.addEventListener('wheel', (e) => {
    if (e.ctrlKey || e.metaKey) return; // the browser's own zoom
    e.preventDefault();
    const delta = (e.deltaY || e.deltaX) * (e.deltaMode === 1 ? TURN / 3 : 1);
    if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) onPan((delta / TURN) * 0.1 * width() * perPixel());
    else onZoom(timeAt(e.clientX), NOTCH ** (delta / TURN));
  }, { passive: false });

  const fingers = new Map(); // pointer → x
  let dragging = false;
  over.style.touchAction = 'pan-y'; // up and down scrolls the page
  over.addEventListener('pointerdown', (e) => {
    if (e.pointerType !== 'touch') return;
    fingers.set(e.pointerId, e.clientX);
    dragging = fingers.size > 1;
  });
  over.addEventListener('pointermove', (e) => {
    if (!fingers.has(e.pointerId)) return;
    const before = fingers.get(e.pointerId);
    if (!dragging && Math.abs(e.clientX - before) < SLIP) return;
    dragging = true;
    const other = [...fingers].find(([id]) => id !== e.pointerId)?.[1];
    fingers.set(e.pointerId, e.clientX);
    if (other === undefined) onPan((before - e.clientX) * perPixel());
    else {
      onZoom(timeAt((other + before) / 2), Math.max(Math.abs(before - other), 1) / Math.max(Math.abs(e.clientX - other), 1));
      onPan(((before - e.clientX) / 2) * perPixel());
    }
  });
  for (const type of ['pointerup', 'pointercancel']) {
    over.addEventListener(type, (e) => {
      fingers.delete(e.pointerId);
      if (fingers.size === 0) dragging = false;
    });
  }
}

/** dragged makes uPlot's own drag choose a range, and one with Shift move it: for cursor.bind.mousedown. */
export function dragged(onPan) {
  return (u, _, choose) => (e) => {
    if (!e.shiftKey || e.button !== 0) return choose(e);
    e.preventDefault();
    let x = e.clientX;
    const move = (m) => {
      onPan((x - m.clientX) * (((u.scales.x.max - u.scales.x.min) * 1000) / (u.over.clientWidth || 1)));
      x = m.clientX;
    };
    addEventListener('mousemove', move);
    addEventListener('mouseup', () => removeEventListener('mousemove', move), { once: true });
    return null;
  };
}
