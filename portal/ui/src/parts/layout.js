// The layout of the fleet map: buildings below each other, floors side by side, rooms in a row.
// Pure functions.
import { compareIDs } from '../model/fleet.js';

const TITLE = 20; // of a building
const LABEL = 14; // of a floor
const GAP = 12; // between floors
const FLOORS = [96, 64]; // least widths of a floor, the roomier first
const LARGEST = 18;
export const SMALLEST = 3;
const READABLE = 10; // where the map is higher than its box for its labels alone

/** group sorts rows into buildings → floors → devices by room. */
export function group(rows) {
  const buildings = new Map();
  for (const row of rows) {
    if (!row) continue;
    if (!buildings.has(row.building)) buildings.set(row.building, new Map());
    const floors = buildings.get(row.building);
    if (!floors.has(row.floor)) floors.set(row.floor, []);
    floors.get(row.floor).push(row);
  }
  return [...buildings]
    .sort(([a], [b]) => compareIDs(a, b))
    .map(([name, floors]) => ({
      name,
      floors: [...floors]
        .sort(([a], [b]) => a - b)
        .map(([floor, devices]) => ({
          floor,
          devices: devices.sort((a, b) => compareIDs(a.room, b.room) || compareIDs(a.id, b.id)),
        })),
    }));
}

/**
 * place lays groups out in width × height with the largest cells that fit, and smaller ones
 * than SMALLEST never: what does not fit then is below the edge, in cells that can be read if there are few. Returns {cell, height,
 * titles: [{x, y, name, count}], floors: [{x, y, top, columns, floor, devices}]} with x and y
 * of the first cell and top of the label.
 */
export function place(groups, width, height) {
  for (let cell = LARGEST; cell >= SMALLEST; cell--) {
    for (const least of FLOORS) {
      const out = attempt(groups, width, cell, least);
      if (out.height <= height) return out;
    }
  }
  const devices = groups.reduce((n, g) => n + countOf(g), 0);
  return attempt(groups, width, devices * SMALLEST ** 2 > (width * height) / 2 ? SMALLEST : READABLE, FLOORS.at(-1));
}

const LOSS = 0.7; // of the size of cells that a passing loss of height may cost

/**
 * placeSteady does the same for a box that was tall before something took a part of its height, such as a banner: cells
 * do not shrink a lot for that, the rest is scrolled to.
 */
export function placeSteady(groups, width, height, tall) {
  const now = place(groups, width, height);
  if (height >= tall || height < tall / 2) return now;
  const before = place(groups, width, tall);
  return now.cell < LOSS * before.cell ? before : now;
}

const countOf = (building) => building.floors.reduce((n, f) => n + f.devices.length, 0);

function attempt(groups, width, cell, least) {
  const titles = [];
  const floors = [];
  let y = 0;
  for (const building of groups) {
    const count = countOf(building);
    titles.push({ x: 0, y, name: building.name, count });
    y += TITLE;
    const most = Math.max(Math.floor((width + GAP) / (least + GAP)), 1);
    const lines = Math.ceil(building.floors.length / most);
    const across = Math.ceil(building.floors.length / lines);
    const floorWidth = (width - GAP * (across - 1)) / across;
    const columns = Math.max(Math.floor(floorWidth / cell), 1);
    for (let line = 0; line < lines; line++) {
      let tallest = 0;
      building.floors.slice(line * across, (line + 1) * across).forEach((f, i) => {
        floors.push({ x: Math.round(i * (floorWidth + GAP)), y: y + LABEL, top: y, columns, floor: f.floor, devices: f.devices, building: building.name });
        tallest = Math.max(tallest, Math.ceil(f.devices.length / columns));
      });
      y += LABEL + tallest * cell + 4;
    }
    y += 6;
  }
  return { cell, height: y, titles, floors };
}

/** at returns the device under a point, or null. */
export function at(layout, x, y) {
  for (const f of layout.floors) {
    const column = Math.floor((x - f.x) / layout.cell);
    const line = Math.floor((y - f.y) / layout.cell);
    if (column < 0 || column >= f.columns || line < 0) continue;
    const device = f.devices[line * f.columns + column];
    if (device) return device;
  }
  return null;
}

/** spot returns where a device's cell is, or null. */
export function spot(layout, device) {
  for (const f of layout.floors) {
    if (f.floor !== device.floor || f.building !== device.building) continue;
    const i = f.devices.indexOf(device);
    if (i >= 0) return { x: f.x + (i % f.columns) * layout.cell, y: f.y + Math.floor(i / f.columns) * layout.cell };
  }
  return null;
}
