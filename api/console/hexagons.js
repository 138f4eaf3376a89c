// The live hexagons of one layer, from the server's vector tiles.

import { BANDS } from './breaks.js';
import { isOfSurface } from './choice.js';
import { bandColours, palette, onSchemeChange, surpriseColours } from './colours.js';
import { atMostEvery } from './pace.js';

const LAYERS = ['hexagons', 'hexagon-borders', 'hexagon-selected'];
const NO_COLOUR = 'rgba(0,0,0,0)';

/** Draws below the layer `alert-casing`, which the map must have. */
export class Hexagons {
  #map;
  #choice = null;
  #limits = null;
  #behind = false;
  #tellDrawn;
  /** Resolves once hexagons have been drawn in their colours, or there turned out to be none. */
  drawn = new Promise((resolve) => { this.#tellDrawn = resolve; });

  constructor(map) {
    this.#map = map;
    onSchemeChange(() => this.#paint());
  }

  /** Shows another layer, metric or window. */
  show(choice) {
    const before = this.#choice;
    this.#choice = choice;
    this.#limits = null;
    if (before?.layer.layer !== choice.layer.layer) this.#build();
    else this.#map.getSource('hexagons').setTiles([this.#url()]);
    for (const id of ['hexagons', 'hexagon-borders']) this.#map.setFilter(id, ['has', choice.metric]);
    this.#paint();
  }

  /**
   * Asks again for the tiles in view; one that did not change costs a 304. While tiles are on their way it only notes
   * that they will be behind: asking over and over would let none arrive on a slow line.
   */
  reload() {
    this.#behind = !this.#isLoaded();
    if (!this.#behind) this.#map.getSource('hexagons').setTiles([this.#url()]);
  }

  /** Calls back with the properties of each hexagon in view, by cell, when tiles arrived or the view moved. */
  onSight(listener) {
    let isFirst = true;
    const look = atMostEvery(400, async () => {
      if (!this.#isLoaded()) return;
      listener(this.#inView());
      if (this.#behind) this.reload();
      if (isFirst) {
        isFirst = false;
        this.#map.once('idle', this.#tellDrawn);
        this.#map.triggerRepaint();
      }
    });
    // On a busy day the map is seldom idle, on a quiet one it is the last to say that all tiles are drawn.
    this.#map.on('sourcedata', (event) => {
      if (event.sourceId === 'hexagons' && event.isSourceLoaded) this.#map.once('render', look);
    });
    this.#map.on('idle', look);
  }

  /** Colours by these limits between the classes. */
  colour(limits) {
    if (JSON.stringify(limits) === JSON.stringify(this.#limits)) return;
    this.#limits = limits;
    this.#paint();
  }

  /** Outlines one cell, or none. */
  select(cell) {
    if (this.#map.getLayer('hexagon-selected')) {
      this.#map.setFilter('hexagon-selected', ['==', ['get', 'cell'], cell ?? '']);
    }
  }

  #isLoaded() {
    return this.#map.getSource('hexagons') !== undefined && this.#map.isSourceLoaded('hexagons');
  }

  /** A hexagon that lies in several tiles comes once. */
  #inView() {
    return new Map(this.#map.queryRenderedFeatures({ layers: ['hexagons'] })
      .map(({ properties }) => [properties.cell, properties]));
  }

  #url() {
    const { layer, metric, window: span } = this.#choice;
    const asked = isOfSurface(metric) ? `metric=${metric}` : `metric=${metric}&window=${span}`;
    return `${location.origin}/v1/tiles/${layer.layer}/{z}/{x}/{y}.mvt?${asked}`;
  }

  #build() {
    const map = this.#map;
    for (const id of LAYERS) if (map.getLayer(id)) map.removeLayer(id);
    if (map.getSource('hexagons')) map.removeSource('hexagons');
    map.addSource('hexagons', { type: 'vector', tiles: [this.#url()], minzoom: 0, maxzoom: 14 });
    const add = (id, type, paint) => map.addLayer(
      { id, type, source: 'hexagons', 'source-layer': this.#choice.layer.layer, paint }, 'alert-casing');
    add('hexagons', 'fill', { 'fill-color': NO_COLOUR, 'fill-color-transition': { duration: 0 }, 'fill-opacity': 0.85 });
    add('hexagon-borders', 'line', { 'line-width': ['interpolate', ['linear'], ['zoom'], 8, 0.3, 14, 1.2], 'line-opacity': 0.55 });
    add('hexagon-selected', 'line', { 'line-width': 3 });
    this.select(null);
  }

  #paint() {
    if (!this.#map.getLayer('hexagons')) return;
    const { ramp, hexagonBorder, selected } = palette();
    const value = ['to-number', ['get', this.#choice.metric]];
    const isRisk = this.#choice.metric.startsWith('risk');
    const [limits, colours] = isRisk ? [BANDS, bandColours()] : [this.#limits, ramp];
    const steps = limits?.flatMap((limit, index) => [limit, colours[index + 1]]);
    const byClass = ['match', ['get', this.#choice.metric], ...Object.entries(surpriseColours()).flat(), NO_COLOUR];
    const byLimits = steps ? ['step', value, colours[0], ...steps] : NO_COLOUR;
    this.#map.setPaintProperty('hexagons', 'fill-color', this.#choice.metric === 'class' ? byClass : byLimits);
    this.#map.setPaintProperty('hexagon-borders', 'line-color', hexagonBorder);
    this.#map.setPaintProperty('hexagon-selected', 'line-color', selected);
  }
}
