// Drawing a polygon on the map: a click adds a corner; Enter, or a double click, ends it; Backspace takes a corner back.

import { palette, onSchemeChange } from './colours.js';

const NOTHING = { type: 'FeatureCollection', features: [] };
const LEAST_CORNERS = 3;

/** Lets a polygon be drawn. `changed` is called when it is complete, or gone. */
export function startDrawing(map, changed) {
  let corners = [];
  let isDrawing = false;
  let isComplete = false;
  map.addSource('drawing', { type: 'geojson', data: NOTHING });
  map.addLayer({ id: 'drawing', type: 'line', source: 'drawing', paint: { 'line-width': 3, 'line-dasharray': [2, 1] } });
  map.addLayer({ id: 'drawing-corners', type: 'circle', source: 'drawing', filter: ['==', ['geometry-type'], 'Point'], paint: { 'circle-radius': 5 } });
  const paint = () => {
    const { casing, severity } = palette();
    map.setPaintProperty('drawing', 'line-color', severity.critical);
    map.setPaintProperty('drawing-corners', 'circle-color', severity.critical);
    map.setPaintProperty('drawing-corners', 'circle-stroke-color', casing);
  };
  paint();
  onSchemeChange(paint);

  function show() {
    const line = isComplete ? [...corners, corners[0]] : corners;
    const features = corners.map((at) => ({ type: 'Feature', properties: {}, geometry: { type: 'Point', coordinates: at } }));
    if (line.length > 1) features.push({ type: 'Feature', properties: {}, geometry: { type: 'LineString', coordinates: line } });
    map.getSource('drawing').setData({ type: 'FeatureCollection', features });
  }

  function stop() {
    isDrawing = false;
    delete map.getContainer().dataset.drawing;
    map.doubleClickZoom.enable();
    map.getCanvas().style.cursor = '';
  }

  function complete() {
    // A double click is two clicks first.
    corners = corners.filter((at, index) => index === 0 || at.join() !== corners[index - 1].join());
    if (corners.length < LEAST_CORNERS) return;
    isComplete = true;
    stop();
    show();
    changed();
  }

  map.on('click', (event) => {
    if (!isDrawing) return;
    corners.push([event.lngLat.lng, event.lngLat.lat]);
    show();
  });
  map.on('dblclick', () => { if (isDrawing) complete(); });
  document.addEventListener('keydown', (event) => {
    if (!isDrawing || event.target.closest('input, select, textarea')) return;
    if (event.key === 'Enter') { event.preventDefault(); complete(); }
    if (event.key === 'Backspace') { corners.pop(); show(); }
  });

  return {
    /** Begins anew. */
    begin() {
      corners = [];
      [isDrawing, isComplete] = [true, false];
      map.getContainer().dataset.drawing = 'true';
      map.doubleClickZoom.disable();
      map.getCanvas().style.cursor = 'crosshair';
      map.getCanvas().focus();
      show();
    },
    /** Takes away what was drawn. */
    end() {
      stop();
      [corners, isComplete] = [[], false];
      show();
    },
    /** The polygon, closed; `null` while there is none. */
    ring: () => (isComplete ? [...corners, corners[0]] : null),
  };
}
