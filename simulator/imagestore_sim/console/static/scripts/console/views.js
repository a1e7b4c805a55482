// The views of the console, in the order of the navigation. Each is loaded when it is first shown.

/** @typedef {import('../lib/types.js').View} View */

/** The views of the main area, by the first part of their URLs. @type {View[]} */
export const VIEWS = [
  { path: 'storages', title: 'Fleet', sign: '▦', load: () => import('./fleet.js') },
  { path: 'timeline', title: 'Timeline', sign: '≡', load: () => import('./timeline.js') },
  { path: 'requests', title: 'Requests', sign: '⇄', load: () => import('./requests.js') },
  { path: 'node-faults', title: 'Node faults', sign: '⚡\uFE0E', load: () => import('./node-faults.js') },
  { path: 'nodes', title: 'Nodes', sign: '⬡', load: () => import('./nodes.js'), when: (about) => about.sharesStore },
  { path: 'stories', title: 'Stories', sign: '▤', load: () => import('./stories.js') },
  { path: 'snapshots', title: 'Snapshots', sign: '◫', load: () => import('./snapshots.js') },
];

/** The views of the drawer: they open beside a view when the URL goes on, as in `/#/storages/UUID`. @type {View[]} */
export const DRAWERS = [
  { path: 'storages', title: 'Backup storage', sign: '▦', load: () => import('./storage-drawer.js') },
  { path: 'requests', title: 'Request', sign: '⇄', load: () => import('./request-drawer.js') },
];
