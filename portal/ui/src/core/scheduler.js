// The one requestAnimationFrame of the page. Components say that they are dirty; they are
// drawn together, not more often than four times a second unless it is urgent (a
// person did something), and not at all while the page is hidden.

const INTERVAL = 250;

/** createScheduler calls painted() after what was drawn in a frame is painted. */
export function createScheduler({ raf, hidden, now, painted = () => {} }) {
  const parts = new Map(); // draw → dirty
  let requested = false;
  let last = -Infinity;

  function frame() {
    requested = false;
    if (hidden()) return; // visible() draws what was missed
    const at = now();
    const due = at - last >= INTERVAL;
    let waiting = false;
    if (due) last = at;
    for (const [draw, state] of parts) {
      if (!state) continue;
      if (state === 'soon' && !due) {
        waiting = true;
        continue;
      }
      parts.set(draw, null);
      draw(at);
    }
    if (due) setTimeout(painted); // a task after this frame
    if (waiting) request();
  }

  function request() {
    if (requested || hidden()) return;
    requested = true;
    raf(frame);
  }

  return {
    /** add registers a draw function and returns a function that marks it dirty. */
    add(draw) {
      parts.set(draw, 'urgent');
      request();
      return (urgent = false) => {
        if (!parts.has(draw)) return;
        if (parts.get(draw) !== 'urgent') parts.set(draw, urgent ? 'urgent' : 'soon');
        request();
      };
    },
    /** remove removes a draw function. */
    remove: (draw) => parts.delete(draw),
    /** all marks everything dirty, after a change of language or when the page becomes visible. */
    all() {
      for (const draw of parts.keys()) parts.set(draw, 'urgent');
      request();
    },
  };
}
