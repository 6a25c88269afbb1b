// Keys that work on every page.

const GOTO = { o: 'overview', t: 'trends', a: 'alarms', d: 'devices', n: 'shiftnotes', p: 'report', w: 'gateways', r: 'rules', s: 'system', u: 'audit' };
const SEQUENCE = 1000; // ms between g and the next key
const NEVER = -Infinity; // the time of an event is counted from when the page began

/** typing reports whether a key belongs to a field or to the browser. */
export function typing(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  return Boolean(event.target.closest?.('input:not([type=checkbox]),textarea,select,dialog'));
}

/** isFind reports whether a key is Ctrl-K, or ⌘K; a dialog keeps its keys. */
function isFind(event) {
  return (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k' && !event.target.closest?.('dialog');
}

/** listen binds the keys to actions {go, pause, help, kiosk, search}. */
export function listenToKeys(target, actions) {
  let after = NEVER; // when g was pressed
  target.addEventListener('keydown', (event) => {
    if (isFind(event)) {
      event.preventDefault();
      actions.search();
      return;
    }
    if (typing(event)) return;
    const jump = event.timeStamp - after < SEQUENCE ? GOTO[event.key] : undefined;
    after = NEVER;
    if (jump) {
      event.preventDefault();
      event.stopImmediatePropagation();
      actions.go(jump);
      return;
    }
    switch (event.key) {
      case 'g':
        after = event.timeStamp;
        break;
      case '/':
        event.preventDefault();
        actions.search();
        break;
      case 'p':
        actions.pause();
        break;
      case 'k':
        actions.kiosk();
        break;
      case '?':
        actions.help();
        break;
      default:
    }
  }, true);
}
