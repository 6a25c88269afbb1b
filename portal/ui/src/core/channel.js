// The WebSocket in the dialect iot.v1.json: parts of the page subscribe to topics and get a
// snapshot and deltas of each, also after a reconnect.
import { pause } from './pause.js';

export const SUBPROTOCOL = 'iot.v1.json';
/** Close codes after which reconnecting soon is pointless. */
const FINAL = new Set([4003, 4500, 4501, 4504]);
/** The server sends stats every second; without a frame for this long the connection is dead. */
const SILENT = 15_000;

/**
 * createChannel keeps a connection to url. Handlers: onState(name, closeCode) with name
 * connecting|open|waiting|refused, onFrame() for every frame that came, onDelta(ts) for every change with the
 * server's time, onHello(hello).
 */
export function createChannel({ url, onState, onFrame = () => {}, onDelta = () => {}, onHello = () => {}, WebSocketClass = WebSocket, timer = setTimeout }) {
  const topics = new Map(); // name → {handlers, seq, epoch, parts, wanted}
  const waiting = new Map(); // id of a request → function
  let ws = null;
  let ready = false;
  let epoch = '';
  let tries = 0;
  let nextID = 1;
  let flushing = false;
  let watchdog = 0;
  let changes = new Map(); // topic → true to subscribe, false to unsubscribe
  let resting = false;
  let operator = ''; // who is at this screen
  /** wanted returns the topics to subscribe to: while resting only `alerts`, which must not miss any. */
  const wanted = () => [...topics.keys()].filter((name) => !resting || name === 'alerts');

  function open() {
    onState('connecting');
    const mine = new WebSocketClass(url, SUBPROTOCOL);
    ws = mine;
    mine.onmessage = (event) => {
      alive(mine);
      onFrame();
      receive(event.data);
    };
    mine.onclose = (event) => {
      if (mine !== ws) return;
      clearTimeout(watchdog);
      ready = false;
      for (const f of waiting.values()) f({ type: 'error', code: 'disconnected' });
      waiting.clear();
      const final = FINAL.has(event.code);
      onState(final ? 'refused' : 'waiting', event.code);
      if (final) tries = Math.max(tries, 5); // retry rarely
      timer(open, pause(tries++));
    };
  }

  /** alive postpones the end of a silent connection. */
  function alive(mine) {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => mine === ws && mine.close(), SILENT);
  }

  function receive(text) {
    let m;
    try {
      m = JSON.parse(text);
    } catch {
      return; // malformed; skip it
    }
    switch (m.type) {
      case 'hello':
        return greet(m);
      case 'snapshot':
        return takeSnapshot(m);
      case 'delta': {
        const t = topics.get(m.topic);
        if (!t) return undefined;
        t.seq = m.seq;
        onDelta(m.ts);
        return each(t, m, 'delta', m.data);
      }
      case 'lagged': {
        const t = topics.get(m.topic);
        return t && each(t, m, 'lagged', null);
      }
      default:
        if (m.id && waiting.has(m.id)) {
          const f = waiting.get(m.id);
          waiting.delete(m.id);
          f(m);
        }
        return undefined;
    }
  }

  function greet(hello) {
    tries = 0;
    ready = true;
    const resume = { epoch, seq: {} };
    if (epoch === hello.epoch && topics.get('alerts')?.seq) resume.seq.alerts = topics.get('alerts').seq;
    epoch = hello.epoch;
    changes = new Map();
    onHello(hello);
    onState('open');
    const all = wanted();
    if (all.length > 0) request({ type: 'subscribe', topics: all, resume });
    if (operator) introduce();
  }

  /** introduce says who is at this screen; it is not answered. */
  function introduce() {
    if (ready) ws.send(JSON.stringify({ type: 'present', name: operator }));
  }

  function takeSnapshot(m) {
    const t = topics.get(m.topic);
    if (!t) return;
    if ((m.part ?? 1) === 1) t.parts = [];
    t.parts.push(m.data);
    if (t.parts.length < (m.parts ?? 1)) return;
    const parts = t.parts;
    t.parts = [];
    t.seq = m.seq;
    each(t, m, 'snapshot', parts);
  }

  function each(t, m, kind, data) {
    for (const f of t.handlers) f({ kind, topic: m.topic, ts: m.ts, data });
  }

  /** request sends a message and resolves with its answer. */
  function request(message) {
    return new Promise((done) => {
      if (!ready) {
        done({ type: 'error', code: 'disconnected' });
        return;
      }
      const id = String(nextID++);
      waiting.set(id, done);
      ws.send(JSON.stringify({ ...message, id }));
    });
  }

  /** later batches simultaneous changes into one message. */
  function later(topic, wanted) {
    changes.set(topic, wanted);
    if (flushing) return;
    flushing = true;
    queueMicrotask(() => {
      flushing = false;
      const list = changes;
      changes = new Map();
      if (!ready || resting) return; // everything is subscribed to on connect or after the rest
      const off = [...list].filter(([, on]) => !on).map(([name]) => name);
      const on = [...list].filter(([, yes]) => yes).map(([name]) => name);
      if (off.length > 0) request({ type: 'unsubscribe', topics: off });
      if (on.length > 0) request({ type: 'subscribe', topics: on });
    });
  }

  return {
    /** start connects and keeps reconnecting. */
    start: open,
    request,
    /** present sets the name of the operator at this screen, '' for none. */
    present(name) {
      if (name === operator) return;
      operator = name;
      introduce();
    },
    /** rest unsubscribes from all topics but `alerts` until it is called with false. */
    rest(yes) {
      if (yes === resting) return;
      const others = [...topics.keys()].filter((name) => name !== 'alerts');
      resting = yes;
      if (ready && others.length > 0) request({ type: yes ? 'unsubscribe' : 'subscribe', topics: others });
    },
    /**
     * subscribe calls handler({kind, topic, ts, data}) with kind snapshot (data: its parts),
     * delta or lagged. Returns the function that ends it.
     */
    subscribe(topic, handler) {
      let t = topics.get(topic);
      if (t) {
        t.handlers.add(handler);
        later(topic, true); // gets a fresh snapshot for the new handler
      } else {
        t = { handlers: new Set([handler]), seq: 0, parts: [] };
        topics.set(topic, t);
        later(topic, true);
      }
      return () => {
        t.handlers.delete(handler);
        if (t.handlers.size > 0 || topics.get(topic) !== t) return;
        topics.delete(topic);
        later(topic, false);
      };
    },
  };
}
