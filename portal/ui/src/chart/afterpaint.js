// Charts whose library comes after the alarms: what they show is not what one looks for first.

/** afterPaint returns a chart that make(module) creates when painted, a promise, is kept and chart/round.js is there; its newest update is drawn then. */
export function afterPaint(painted, make) {
  let chart = null;
  let newest = null;
  let over = false;
  painted.then(async () => {
    if (over) return;
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
