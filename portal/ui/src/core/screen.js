// How long this screen takes: from the portal's time in a frame to its painting, by a clock that pings compare
// with the portal's. Every few seconds the portal gets what was measured, with the ping.

const EVERY = 5000; // ms between reports
const WINDOW = 60_000; // ms that figures cover
const GAP = 200; // ms at least between two frames that are measured
const MOST = 32; // times in one report
const PINGS = 8; // of which the one with the shortest way counts

/** createScreen measures until the page goes. request(message) sends one and resolves with the answer. */
export function createScreen({ request, hidden = () => document.hidden, now = () => performance.timeOrigin + performance.now(), timer = setInterval }) {
  const pings = []; // {offset, round}
  let best = null;
  let frames = 0;
  let count = 0;
  let last = -Infinity;
  let waiting = []; // portal's times of frames that are not painted yet
  let fresh = []; // times not reported yet
  let times = []; // {at, ms} of the window

  async function report() {
    const mine = { frames, paint_ms: fresh.slice(0, MOST) };
    frames = 0;
    fresh = [];
    const sent = now();
    const answer = await request(mine.frames > 0 ? { type: 'ping', screen: mine } : { type: 'ping' });
    if (answer.type !== 'pong') return;
    const back = now();
    pings.push({ offset: answer.server_time + 0.5 - (sent + back) / 2, round: back - sent }); // the portal's time is cut to a ms
    if (pings.length > PINGS) pings.shift();
    best = pings.reduce((a, b) => (b.round < a.round ? b : a));
  }

  timer(report, EVERY);
  report();
  return {
    /** heard counts a frame. */
    heard() {
      frames++;
      count++;
    },
    /** frame may measure one that the portal sent at ts. */
    frame(ts) {
      if (!best || hidden() || now() - last < GAP || !(ts > 0)) return;
      last = now();
      waiting.push(ts);
    },
    /** painted is called after what came before was painted. */
    painted() {
      const at = now();
      for (const ts of waiting) {
        const ms = Math.max(at + best.offset - ts, 0);
        if (ms > WINDOW) continue; // the page rested in between
        times.push({ at, ms });
        fresh.push(Math.round(ms * 10) / 10);
      }
      waiting = [];
      times = times.filter((x) => x.at > at - WINDOW);
    },
    /** figures are those of the last minute: {n, p50, p99} or null, and how well the clocks agree. */
    figures() {
      const list = times.filter((x) => x.at > now() - WINDOW).map((x) => x.ms).sort((a, b) => a - b);
      const q = (share) => list[Math.min(Math.ceil(share * list.length), list.length) - 1];
      return { count, offset: best?.offset ?? null, within: best ? best.round / 2 + 0.5 : null, paint: list.length > 0 ? { n: list.length, p50: q(0.5), p99: q(0.99) } : null };
    },
  };
}
