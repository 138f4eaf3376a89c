// The map, and the marks that lie over its hexagons: alerts and silent sensors.

import { Map as MapLibre, NavigationControl, ScaleControl } from '/console/vendor/maplibre-gl-6.17.0/maplibre-gl.mjs';
import { palette, onSchemeChange } from './colours.js';

const NOWHERE = { center: [0, 20], zoom: 1.2 };
const NARROW_PX = 820;
const CHOICES_PX = 248;
const NOTHING = { type: 'FeatureCollection', features: [] };

/** Makes the map and waits until its style stands. `settings` is `/v1/console.json`. */
export async function startMap(settings) {
  const place = Array.isArray(settings.center) ? { center: settings.center, zoom: settings.zoom ?? 9 } : NOWHERE;
  const map = new MapLibre({
    container: 'map', style: { version: 8, sources: {}, layers: [{ id: 'sea', type: 'background' }] },
    ...place, hash: 'map', maxZoom: 17, maxPitch: 0, dragRotate: false, pitchWithRotate: false,
    attributionControl: false, fadeDuration: 0,
  });
  // The choices lie over the left of the map, so its middle is the middle of what is left.
  if (window.innerWidth > NARROW_PX) map.setPadding({ top: 0, right: 0, bottom: 0, left: CHOICES_PX });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), 'top-right');
  map.addControl(new ScaleControl({ maxWidth: 120 }), 'bottom-left');
  map.getCanvas().setAttribute('aria-label',
    'Map of hexagons. Arrow keys move, plus and minus zoom, Enter reads the hexagon in the middle.');
  await map.once('load');
  addMarks(map);
  paintMarks(map);
  onSchemeChange(() => paintMarks(map));
  return map;
}

/** Shows alerts: `outlines` and `points` are GeoJSON with a `severity` each. */
export function showAlertMarks(map, outlines, points) {
  map.getSource('alert-outlines').setData(outlines);
  map.getSource('alert-points').setData(points);
}

/** Shows where sensors went silent, as GeoJSON points. */
export const showSilentMarks = (map, points) => map.getSource('silent').setData(points);

/** Shows where the case is that somebody looks at, as GeoJSON points. */
export const showCaseMark = (map, points) => map.getSource('case').setData(points);

/** Moves to a place, close enough to see its hexagon. */
export function flyTo(map, center) {
  const options = { center, zoom: Math.max(map.getZoom(), 13) };
  if (window.matchMedia('(prefers-reduced-motion: reduce)').matches) map.jumpTo(options);
  else map.flyTo({ ...options, duration: 900 });
}

function addMarks(map) {
  for (const id of ['alert-outlines', 'alert-points', 'silent', 'case']) map.addSource(id, { type: 'geojson', data: NOTHING });
  map.addLayer({ id: 'alert-casing', type: 'line', source: 'alert-outlines', minzoom: 11.5, paint: { 'line-width': 7 } });
  map.addLayer({ id: 'alert-outline', type: 'line', source: 'alert-outlines', minzoom: 11.5, paint: { 'line-width': 3.5 } });
  map.addLayer({ id: 'silent', type: 'circle', source: 'silent', paint: {
    'circle-radius': ['interpolate', ['linear'], ['zoom'], 8, 2.5, 14, 6], 'circle-opacity': 0, 'circle-stroke-width': 1.5,
  } });
  map.addLayer({ id: 'case', type: 'circle', source: 'case', paint: { 'circle-radius': 8, 'circle-stroke-width': 3 } });
  map.addLayer({ id: 'alert-points', type: 'circle', source: 'alert-points', maxzoom: 11.5, paint: {
    'circle-radius': ['match', ['get', 'severity'], 'critical', 8, 'major', 6.5, 5], 'circle-stroke-width': 2,
  }, layout: { 'circle-sort-key': ['match', ['get', 'severity'], 'critical', 4, 'major', 3, 'moderate', 2, 1] } });
}

function paintMarks(map) {
  const colours = palette();
  map.setPaintProperty('case', 'circle-stroke-color', colours.casing);
  map.setPaintProperty('case', 'circle-color', colours.severity.critical);
  const bySeverity = ['match', ['get', 'severity'],
    ...Object.entries(colours.severity).flat(), colours.severity.minor];
  map.setPaintProperty('sea', 'background-color', colours.sea);
  map.setPaintProperty('alert-casing', 'line-color', colours.casing);
  map.setPaintProperty('alert-outline', 'line-color', bySeverity);
  map.setPaintProperty('alert-points', 'circle-color', bySeverity);
  map.setPaintProperty('alert-points', 'circle-stroke-color', colours.casing);
  map.setPaintProperty('silent', 'circle-stroke-color', colours.silent);
}
