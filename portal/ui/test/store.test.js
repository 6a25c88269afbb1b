import assert from 'node:assert/strict';
import test from 'node:test';
import { compareIDs, createStore, filterDevices, rank, sortAlarms, windowOf } from '../src/core/store.js';

function rig() {
  const clock = { ms: 1_700_000_000_000 };
  const store = createStore({ now: () => clock.ms });
  const told = [];
  store.subscribe((kind) => told.push(kind));
  const reading = (id, timestamp, building = 'A栋') => ({ device_id: id, timestamp, location: { building, floor: 1, room: '101' }, sensors: {} });
  const alert = (id, device, severity, status, timestamp) => ({ alert_id: id, device_id: device, severity, status, timestamp });
  return { clock, store, told, reading, alert };
}

const answer = (time, extra = {}) => ({ time, devices: { total: 0 }, sources: { hub: true, kafka: true }, buildings: [], ...extra });

test('the newest reading is kept, whatever the order of arrival', () => {
  const { store, clock, reading, told } = rig();
  store.takeReading(reading('d1', clock.ms));
  store.takeReading(reading('d1', clock.ms - 1000, 'B栋'));
  assert.equal(store.devices.get('d1').seen, clock.ms);
  assert.equal(store.devices.get('d1').location.building, 'A栋');
  assert.equal(store.devices.get('d1').presence, 'online');
  assert.deepEqual(told, ['devices']);
});

test('an old reading does not make a device look online', () => {
  const { store, clock, reading } = rig();
  store.takeReading(reading('d1', clock.ms - 3_600_000));
  assert.equal(store.devices.get('d1').presence, 'unknown');
});

test('absent devices are those the portal names, all others are online', () => {
  const { store, clock, reading } = rig();
  store.takeReading(reading('d1', clock.ms));
  store.setAbsent([{ device_id: 'd1', presence: 'offline', last_seen: clock.ms }, { device_id: 'd2', presence: 'unknown' }]);
  assert.equal(store.devices.get('d1').presence, 'offline');
  assert.equal(store.devices.get('d2').presence, 'unknown');
  store.setAbsent([{ device_id: 'd2', presence: 'offline' }]);
  assert.equal(store.devices.get('d1').presence, 'online');
  assert.equal(store.devices.get('d2').presence, 'offline');
});

test('an alarm is filed once for each state and cleared is final', () => {
  const { store, alert } = rig();
  assert.equal(store.takeAlert(alert('a', 'd1', 'high', 'active', 1)), true);
  assert.equal(store.takeAlert(alert('a', 'd1', 'high', 'active', 1)), false);
  assert.equal(store.takeAlert(alert('b', 'd1', 'critical', 'active', 2)), true);
  assert.equal(store.devices.get('d1').alarm.alert_id, 'b');
  assert.equal(store.takeAlert(alert('b', 'd1', 'critical', 'cleared', 3)), false);
  assert.equal(store.devices.get('d1').alarm.alert_id, 'a', 'the next worst one shows');
  store.takeAlert(alert('b', 'd1', 'critical', 'active', 4));
  assert.deepEqual(store.activeBySeverity(), { critical: 0, high: 1, medium: 0, low: 0, other: 0 });
  assert.equal(store.activeTotal(), 1);
  assert.equal(store.clearedTotal(), 1);
});

test('after a connection was lost, what cleared meanwhile does not stay', () => {
  const { store, alert } = rig();
  store.takeAlert(alert('a', 'd1', 'high', 'active', 1));
  store.setAlerts([alert('b', 'd2', 'low', 'active', 2), alert('c', 'd3', 'low', 'cleared', 2)]);
  store.setClearedKept(70);
  assert.equal(store.devices.get('d1').alarm, null);
  assert.equal(store.devices.get('d2').alarm.alert_id, 'b');
  assert.equal(store.clearedTotal(), 70);
  store.takeAlert(alert('b', 'd2', 'low', 'cleared', 5));
  assert.equal(store.clearedTotal(), 71);
});

test('cleared alarms are bounded, active ones are not', () => {
  const { store, alert } = rig();
  for (let i = 0; i < 1000; i++) {
    store.takeAlert(alert(`c${i}`, 'd', 'low', 'cleared', i));
    store.takeAlert(alert(`a${i}`, 'd', 'low', 'active', i));
  }
  assert.equal(store.activeTotal(), 1000);
  assert.ok(store.alerts.size <= 1401);
  assert.ok(store.alerts.has('c999'));
});

test('ages are by the server clock', () => {
  const { store, clock, reading } = rig();
  store.setStats(answer(clock.ms + 60_000), clock.ms); // our clock is a minute behind
  assert.equal(store.serverNow(), clock.ms + 60_000);
  store.takeReading(reading('d1', clock.ms + 59_000));
  store.setSocket('open');
  assert.deepEqual(store.liveness(), { state: 'live', age: 1000 });
});

test('liveness tells a lost socket, a lost source and silence apart', () => {
  const { store, clock, reading } = rig();
  assert.equal(store.liveness().state, 'reconnecting');
  store.setSocket('open');
  assert.equal(store.liveness().state, 'waiting');
  for (let i = 0; i < 50; i++) {
    clock.ms += 100;
    store.takeReading(reading('d1', clock.ms));
  }
  assert.equal(store.liveness().state, 'live');
  clock.ms += 10_000;
  assert.equal(store.liveness().state, 'stale');
  store.takeReading(reading('d1', clock.ms));
  assert.equal(store.liveness().state, 'live');
  store.setStats(answer(clock.ms, { sources: { hub: false, kafka: true } }), clock.ms);
  assert.equal(store.liveness().state, 'stale');
  store.setSocket('waiting', 1006);
  const since = clock.ms;
  clock.ms += 4000;
  store.setSocket('connecting');
  assert.deepEqual(store.liveness(), { state: 'reconnecting', age: clock.ms - since });
  store.setSocket('refused', 4504);
  assert.equal(store.liveness().state, 'refused');
});

test('a device is stale after three of its intervals', () => {
  const { store, clock } = rig();
  store.takeDevice({ device_id: 'd1', presence: 'online', interval_ms: 10_000, last_seen: clock.ms, location: {} });
  assert.equal(store.isStale(store.devices.get('d1')), false);
  clock.ms += 30_000;
  assert.equal(store.isStale(store.devices.get('d1')), false);
  clock.ms += 2_000;
  assert.equal(store.isStale(store.devices.get('d1')), true);
  assert.equal(store.isStale({ seen: 0 }), true);
});

test('a gateway\'s rate comes from two heartbeats of one start', () => {
  const { store } = rig();
  const beat = (time, accepted, epoch = 'e1') => ({ items: [{ gateway: 'g', epoch, time, accepted }] });
  store.setGateways(beat(1000, 100));
  assert.equal(store.state.gateways[0].rate, null);
  store.setGateways(beat(3000, 300));
  assert.equal(store.state.gateways[0].rate, 100);
  store.setGateways(beat(3000, 300));
  assert.equal(store.state.gateways[0].rate, 100, 'the same heartbeat once more');
  store.setGateways(beat(4000, 5, 'e2'));
  assert.equal(store.state.gateways[0].rate, 100, 'a restart is not a negative rate');
});

test('devices are in the order people count in', () => {
  const { store, clock, reading } = rig();
  for (const id of ['device_10', 'device_9', 'b', 'device_009']) store.takeReading(reading(id, clock.ms));
  assert.deepEqual(store.sorted().map((d) => d.id), ['b', 'device_009', 'device_9', 'device_10']);
  store.takeReading(reading('a', clock.ms));
  assert.equal(store.sorted()[0].id, 'a');
  assert.equal(compareIDs('x', 'x'), 0);
});

test('the filter looks at id, room and building', () => {
  const list = [
    { id: 'device_001', location: { building: 'A栋', room: '301' } },
    { id: 'device_301', location: { building: 'B栋', room: '7' } },
    { id: 'device_002', location: {} },
  ];
  const ids = (f) => filterDevices(list, f).map((d) => d.id);
  assert.deepEqual(ids({}), ['device_001', 'device_301', 'device_002']);
  assert.deepEqual(ids({ text: ' 301 ' }), ['device_001', 'device_301']);
  assert.deepEqual(ids({ text: 'DEVICE_00' }), ['device_001', 'device_002']);
  assert.deepEqual(ids({ building: 'B栋' }), ['device_301']);
  assert.deepEqual(ids({ text: 'a栋' }), ['device_001']);
  assert.deepEqual(ids({ text: '.*' }), []);
});

test('alarms are sorted active, worst, newest', () => {
  const { alert } = rig();
  const sorted = sortAlarms([
    alert('1', 'd', 'critical', 'cleared', 9), alert('2', 'd', 'low', 'active', 8), alert('3', 'd', 'high', 'active', 1),
    alert('4', 'd', 'high', 'active', 5), alert('5', 'd', 'strange', 'active', 5), alert('6', 'd', 'low', 'cleared', 10),
  ]);
  assert.deepEqual(sorted.map((a) => a.alert_id), ['4', '3', '2', '5', '6', '1']);
  assert.equal(rank('critical'), 0);
  assert.equal(rank('strange'), 4);
});

test('only the rows that can be seen exist', () => {
  assert.deepEqual(windowOf({ top: 0, height: 320, row: 32, total: 10_000 }), { from: 0, to: 16 });
  assert.deepEqual(windowOf({ top: 32_000, height: 320, row: 32, total: 10_000 }), { from: 994, to: 1016 });
  assert.deepEqual(windowOf({ top: 9e9, height: 320, row: 32, total: 10 }), { from: 9, to: 10 });
  assert.deepEqual(windowOf({ top: 0, height: 320, row: 32, total: 0 }), { from: 0, to: 0 });
});
