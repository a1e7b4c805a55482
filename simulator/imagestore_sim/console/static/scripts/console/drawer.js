// The drawer: details beside the view, when the URL goes on after the view's own part.

import { h } from '../lib/dom.js';
import { go, onRoute, route } from '../lib/router.js';
import { showProblem } from './problem.js';
import { DRAWERS } from './views.js';

/** @typedef {import('../lib/types.js').MountedView} MountedView */

/** Show in `drawer` what the URL names, from now on. @param {HTMLElement} drawer */
export function mountDrawer(drawer) {
  /** @type {{key: string, mounted: MountedView | null} | null} */
  let shown = null;
  /** @type {Element | null} */
  let opener = null;

  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !event.defaultPrevented && isMeant(event.target)) close();
  });
  onRoute(() => void show());
  void show();

  function close() {
    const { parts, query } = route();
    go(parts.slice(0, 1), Object.fromEntries(query));
  }

  /** A button that is disabled loses the focus to the page. @param {EventTarget | null} target */
  function isMeant(target) {
    const ofPage = target === document.body && document.querySelector('dialog[open]') === null;
    return !drawer.hidden && (ofPage || drawer.contains(/** @type {Node | null} */ (target)));
  }

  function clear() {
    shown?.mounted?.unmount();
    shown = null;
    drawer.replaceChildren();
    drawer.hidden = true;
    if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    opener = null;
  }

  async function show() {
    const now = route();
    const view = now.parts.length > 1 ? DRAWERS.find((one) => one.path === now.parts[0]) : undefined;
    const key = view === undefined ? '' : now.parts.slice(0, 2).join('/');
    if (shown?.key === key) return shown.mounted?.update?.(now);
    if (view === undefined) return shown === null ? undefined : clear();
    shown?.mounted?.unmount();
    opener ??= document.activeElement;
    const current = { key, mounted: /** @type {MountedView | null} */ (null) };
    shown = current;
    const title = h('h2', { id: 'drawer-title' }, view.title);
    const button = h('button', { class: 'plain', 'aria-label': 'Close the details', onclick: close }, '✕');
    const body = h('div', { id: 'drawer-body', tabindex: '-1' });
    drawer.replaceChildren(h('header', null, title, button), body);
    drawer.hidden = false;
    button.focus();
    try {
      const module = await view.load();
      if (shown === current) current.mounted = module.mount(body, { route: route(), close });
    } catch (error) {
      if (shown === current) showProblem(body, error);
    }
  }
}
