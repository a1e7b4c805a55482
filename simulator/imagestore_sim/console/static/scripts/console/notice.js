// A line above the view that says what the page may not do, and how to allow it.

import { h, replace } from '../lib/dom.js';
import { isLoggingIn } from '../lib/by-itself.js';
import { askLogin, askToken } from '../lib/login.js';
import { answerers, cluster, isSilent, nameOf } from '../lib/nodes.js';
import { currentLogin, logInAsAdmin, onLogin } from '../lib/session.js';
import { onChange, state } from '../lib/state.js';

/** Return the line; it is empty when nothing is to be said. */
export function mountNotice() {
  const line = h('div', { id: 'notice', role: 'status' });
  let text = '';
  const show = () => {
    const next = what();
    if (next === text) return;
    text = next;
    replace(line, ...parts(next));
  };
  onChange((change) => change.node && show());
  onLogin(show);
  return line;
}

/** @returns {'' | 'stopped' | 'token' | 'no-node' | 'refused' | 'login' | 'logged-out' | 'read-only'} */
function what() {
  if (state.refused?.status === 401) return 'token';
  if (state.refused !== null) return state.refused.status >= 500 ? 'no-node' : 'refused';
  if (state.about === null) return '';
  if (state.readiness === null) return 'stopped';
  if (currentLogin() === null && state.about.ready && !isLoggingIn()) return state.about.mayChange ? 'logged-out' : 'login';
  return state.about.mayChange ? '' : 'read-only';
}

/** @param {ReturnType<typeof what>} reason @returns {import('../lib/dom.js').Child[]} */
function parts(reason) {
  switch (reason) {
    case 'token':
      return ['The lab’s API of this node needs its token. ', h('button', { class: 'small', onclick: askToken }, 'Enter the token …')];
    case 'refused':
      return [state.refused?.text ?? ''];
    case 'stopped':
      return ['The node does not answer. This page goes on when it does.', othersText()];
    case 'no-node':
      return [`No node takes what this page asks: ${state.refused?.text ?? ''}. It goes on when one does.`];
    case 'logged-out':
      return ['Log in to see the storages of this node. ', h('button', { class: 'small', onclick: () => void logInAsAdmin() }, 'Log in as admin')];
    case 'login':
      return [
        'Log in to see the storages of this node. ',
        h('button', { class: 'small', onclick: askLogin }, 'Log in …'),
        ' Faults, clock and reset need a node that was started with ',
        h('code', null, '--lab-api'),
        '.',
      ];
    case 'read-only':
      return ['This page only shows: to change the clock or faults, start the node with ', h('code', null, '--lab-api'), '.'];
    default:
      return [];
  }
}

/** Return which other nodes of the cluster ran, as this page has seen it last. */
function othersText() {
  const silent = answerers();
  const others = (cluster.known?.nodes ?? []).filter((one) => one.state === 'RUNNING' && !silent.includes(one.uuid) && !isSilent(one));
  return others.length > 0 && ` Other management nodes ran when it last did: ${others.map((one) => nameOf(one.uuid)).join(', ')}.`;
}
