// Charts whose library comes once the page is painted: what they show is not what one looks for first.

/** afterPaint returns a chart that make(module) creates when chart/round.js is there; its newest update is drawn then. */
export function afterPaint(make) {
  let chart = null;
  let newest = null;
  let over = false;
  setTimeout(async () => {
    const module = await import('./round.js');
    if (over) return;
    chart = make(module);
    if (newest) chart.update(...newest);
  });
  return {
    update(...what) {
      newest = what;
      chart?.update(...what);
    },
    destroy() {
      over = true;
      chart?.destroy();
    },
  };
}
