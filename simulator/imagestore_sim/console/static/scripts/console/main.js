// The console: shows the view that the URL names, and a drawer beside it.

import { logInByItself } from '../lib/by-itself.js';
import { h } from '../lib/dom.js';
import { followNodes } from '../lib/nodes.js';
import { go, onRoute, route } from '../lib/router.js';
import { onChange, startState, state } from '../lib/state.js';
import { mountBar } from './bar.js';
import { mountDrawer } from './drawer.js';
import { mountNotice } from './notice.js';
import { showProblem } from './problem.js';
import { VIEWS } from './views.js';

/** @typedef {import('../lib/types.js').View} View */
/** @typedef {import('../lib/types.js').MountedView} MountedView */

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const navigation = /** @type {HTMLElement} */ (document.getElementById('navigation'));

/** @type {{view: View, mounted: MountedView | null} | null} */
let shown = null;

/** @returns {View[]} */
function offered() {
  const { about } = state;
  return VIEWS.filter((view) => view.when === undefined || (about !== null && view.when(about)));
}

let drawn = '';

function showNavigation() {
  const { parts } = route();
  const views = offered();
  const key = [parts[0], ...views.map((view) => view.path)].join(' ');
  if (key === drawn) return; // what has the focus is not replaced
  drawn = key;
  const links = views.map((view) =>
    h(
      'a',
      { href: `#/${view.path}`, 'aria-current': view.path === parts[0] ? 'page' : null },
      h('span', { class: 'sign', 'aria-hidden': 'true' }, view.sign),
      view.title,
    ),
  );
  const explorer = h('a', { href: '/docs' }, h('span', { class: 'sign', 'aria-hidden': 'true' }, '{ }'), 'API');
  navigation.replaceChildren(...links, explorer);
}

async function showView() {
  const now = route();
  const view = VIEWS.find((one) => one.path === now.parts[0]);
  if (view === undefined) return go([VIEWS[0]?.path ?? ''], {}, { replace: true });
  showNavigation();
  document.title = `${view.title} · imagestore-sim`;
  if (shown?.view === view) return shown.mounted?.update?.(now);
  shown?.mounted?.unmount();
  const current = { view, mounted: /** @type {MountedView | null} */ (null) };
  shown = current;
  try {
    const module = await view.load();
    if (shown !== current) return;
    const holder = h('div', { class: 'view' });
    main.replaceChildren(notice, holder);
    current.mounted = module.mount(holder, { route: route(), close: () => {} });
  } catch (error) {
    if (shown === current) showProblem(main, error);
  }
}

logInByItself();
const notice = mountNotice();
main.replaceChildren(notice);
mountBar(/** @type {HTMLElement} */ (document.getElementById('bar')));
mountDrawer(/** @type {HTMLElement} */ (document.getElementById('drawer')));
onRoute(() => void showView());
onChange((change) => change.node && showNavigation());
followNodes();
void showView();
void startState();
