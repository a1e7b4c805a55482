// Light or dark: as the system says, or as chosen here.

import { h } from './dom.js';

const KEY = 'imagestore-sim theme';
const THEMES = /** @type {const} */ (['auto', 'light', 'dark']);
const SIGNS = { auto: '◐', light: '☀', dark: '☾' };

/** Return a button that goes from one theme to the next. */
export function themeButton() {
  const button = h('button', { class: 'plain', onclick: next });
  show();
  return button;

  function next() {
    const theme = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length] ?? 'auto';
    if (theme === 'auto') {
      localStorage.removeItem(KEY);
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem(KEY, theme);
      document.documentElement.dataset.theme = theme;
    }
    show();
  }

  function show() {
    button.textContent = SIGNS[current()];
    button.setAttribute('aria-label', `Theme: ${current()}`);
    button.title = `Theme: ${current()}`;
  }
}

/** @returns {'auto' | 'light' | 'dark'} */
function current() {
  const chosen = localStorage.getItem(KEY);
  return chosen === 'light' || chosen === 'dark' ? chosen : 'auto';
}
