// The API explorer: its bar, and the way back to the console.

import { logInByItself } from '../lib/by-itself.js';
import { h } from '../lib/dom.js';
import { loginMenu } from '../lib/login.js';
import { startState } from '../lib/state.js';
import { themeButton } from '../lib/theme.js';

const bar = /** @type {HTMLElement} */ (document.getElementById('bar'));
bar.append(h('strong', null, 'API explorer'), h('a', { href: '/' }, 'Console'));
bar.append(h('div', { class: 'bar-end row' }, themeButton(), loginMenu()));

logInByItself();
await startState();
