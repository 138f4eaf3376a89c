// The ground under the hexagons: land, districts with their names, rivers, from the server's own GeoJSON.

import { Marker } from '/console/vendor/maplibre-gl-6.17.0/maplibre-gl.mjs';
import { palette, onSchemeChange } from './colours.js';
import { element } from './dom.js';
import { ask } from './server.js';

const LEAST_WIDTH_PX = 56;

/** Draws the base map below the marks. Names are HTML, since glyphs for the map would need a font server. */
export async function drawBasemap(map) {
  const { body } = await ask('/v1/basemap.geojson');
  map.addSource('ground', { type: 'geojson', data: body });
  const below = map.getLayer('hexagons') ? 'hexagons' : 'alert-casing';
  const add = (id, type, kind, paint) =>
    map.addLayer({ id, type, source: 'ground', filter: ['==', ['get', 'kind'], kind], paint }, below);
  add('land', 'fill', 'land', {});
  add('district', 'fill', 'district', { 'fill-opacity': 0.6 });
  add('district-border', 'line', 'district', { 'line-width': 1, 'line-dasharray': [3, 2] });
  add('river', 'line', 'river', { 'line-width': ['interpolate', ['linear'], ['zoom'], 7, 1, 14, 5] });
  paint(map);
  onSchemeChange(() => paint(map));
  nameDistricts(map, body.features.filter((feature) => feature.properties?.kind === 'district'));
}

function paint(map) {
  const { land, district, border, river } = palette();
  map.setPaintProperty('land', 'fill-color', land);
  map.setPaintProperty('district', 'fill-color', district);
  map.setPaintProperty('district-border', 'line-color', border);
  map.setPaintProperty('river', 'line-color', river);
}

function nameDistricts(map, districts) {
  const names = districts.filter((one) => one.properties.name).map((one) => {
    const ring = largestRing(one.geometry);
    const name = element('span', { class: 'district' }, one.properties.name);
    if (ring) new Marker({ element: name }).setLngLat(centreOf(ring)).addTo(map);
    return { name, ring };
  }).filter(({ ring }) => ring);
  const fit = () => {
    for (const { name, ring } of names) {
      const across = ring.map((point) => map.project(point).x);
      name.dataset.small = String(Math.max(...across) - Math.min(...across) < LEAST_WIDTH_PX);
    }
  };
  fit();
  map.on('zoomend', fit);
}

function largestRing(geometry) {
  const polygons = { Polygon: [geometry?.coordinates], MultiPolygon: geometry?.coordinates }[geometry?.type] ?? [];
  const rings = polygons.map((polygon) => polygon[0]);
  return rings.sort((a, b) => Math.abs(areaOf(b)) - Math.abs(areaOf(a)))[0];
}

/** Twice the area, signed by direction; in square degrees, good enough to compare neighbours. */
function areaOf(ring) {
  return ring.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = ring[(index + 1) % ring.length];
    return sum + x * nextY - nextX * y;
  }, 0);
}

/** The centroid of the ring, reckoned from its first corner to keep digits. */
function centreOf(ring) {
  const [[x0, y0]] = ring;
  let [area, x, y] = [0, 0, 0];
  ring.forEach(([x1, y1], index) => {
    const [x2, y2] = ring[(index + 1) % ring.length];
    const cross = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
    area += cross;
    x += (x1 + x2 - 2 * x0) * cross;
    y += (y1 + y2 - 2 * y0) * cross;
  });
  return area === 0 ? [x0, y0] : [x0 + x / (3 * area), y0 + y / (3 * area)];
}
