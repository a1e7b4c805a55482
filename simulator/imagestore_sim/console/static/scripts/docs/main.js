// The API explorer: its bar, and the way back to the console.

import { h } from '../lib/dom.js';
import { loginMenu } from '../lib/login.js';
import { currentLogin, logInAsAdmin } from '../lib/session.js';
import { startState, state } from '../lib/state.js';
import { themeButton } from '../lib/theme.js';

const bar = /** @type {HTMLElement} */ (document.getElementById('bar'));
bar.append(h('strong', null, 'API explorer'), h('a', { href: '/' }, 'Console'));
bar.append(h('div', { class: 'bar-end row' }, themeButton(), loginMenu()));

await startState();
if (state.about?.mayChange && currentLogin() === null && state.refused === null) await logInAsAdmin().catch(() => {});
