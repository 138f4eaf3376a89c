// Outlines of cells, asked of the server once each: an alert's cell may be of another resolution than the tiles in view.

import { isCell } from './cells.js';
import { query } from './server.js';

const MOST_KEPT = 5000;
const MOST_ASKED = 500;
const kept = new Map();

/** Learns the outlines of these cells. Those that the server cannot give are left out. */
export async function learn(cells) {
  const unknown = [...new Set(cells)].filter((cell) => isCell(cell) && !kept.has(cell)).slice(0, MOST_ASKED);
  if (unknown.length === 0) return;
  if (kept.size + unknown.length > MOST_KEPT) kept.clear();
  const rows = await query(`SELECT cell, h3_boundary(cell) AS outline FROM (VALUES ${
    unknown.map((cell) => `('${cell}')`).join(', ')}) AS asked (cell)`);
  for (const { cell, outline } of rows) {
    const ring = ringOf(outline);
    if (ring) kept.set(cell, ring);
  }
}

/** The closed ring of `[lon, lat]` of a learnt cell, or `undefined`. */
export const outlineOf = (cell) => kept.get(cell);

/** The middle of a learnt cell, or `undefined`. */
export function middleOf(cell) {
  const ring = kept.get(cell)?.slice(0, -1);
  if (!ring) return undefined;
  return [0, 1].map((axis) => ring.reduce((sum, point) => sum + point[axis], 0) / ring.length);
}

/** Reads the first ring of a WKT polygon. Across the date line it is drawn past 180°, as the map wants it. */
function ringOf(text) {
  const inner = /\(\(([^()]+)\)/.exec(typeof text === 'string' ? text : '')?.[1];
  const ring = inner?.split(',').map((pair) => pair.trim().split(/\s+/).map(Number));
  if (!ring || ring.length < 4 || ring.some((point) => point.length < 2 || point.some(Number.isNaN))) return undefined;
  const [west] = ring[0];
  return ring.map(([lon, lat]) => [lon - west > 180 ? lon - 360 : west - lon > 180 ? lon + 360 : lon, lat]);
}
