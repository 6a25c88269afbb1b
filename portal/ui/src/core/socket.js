// The WebSocket in the simple dialect, reconnecting with growing pauses for as long as
// that makes sense.

/** Close codes after which connecting again by itself is pointless. */
const FINAL = new Set([4500, 4501, 4504]);
const FIRST = 500;
const LONGEST = 15_000;

/** pause is how long to wait before the n-th try in a row, n from 0, in ms. */
export function pause(n, random = Math.random) {
  const base = Math.min(FIRST * 2 ** n, LONGEST);
  return base / 2 + (base / 2) * random(); // spread, so that a thousand pages do not come at once
}

/**
 * connect keeps a connection to url. Handlers: onOpen(), onMessage(object),
 * onState('connecting'|'open'|'waiting'|'refused', closeCode).
 */
export function connect({ url, onOpen, onMessage, onState, WebSocketClass = WebSocket, timer = setTimeout }) {
  let tries = 0;
  let stopped = false;
  let ws = null;

  function open() {
    if (stopped) return;
    onState('connecting');
    const mine = new WebSocketClass(url);
    ws = mine;
    mine.onopen = () => {
      onState('open');
      onOpen(mine);
    };
    mine.onmessage = (event) => {
      tries = 0; // only a connection that brought something was a good one
      let message;
      try {
        message = JSON.parse(event.data);
      } catch {
        return; // not our server's dialect; what follows may be
      }
      onMessage(message);
    };
    mine.onclose = (event) => {
      if (mine !== ws) return;
      if (FINAL.has(event.code)) {
        onState('refused', event.code);
        tries = Math.max(tries, 5); // still look now and then whether there is room
      } else {
        onState('waiting', event.code);
      }
      timer(open, pause(tries++));
    };
  }

  open();
  return {
    close() {
      stopped = true;
      ws?.close();
    },
  };
}
