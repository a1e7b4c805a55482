// A page of a lab is admin's from the start: the lab's API allows it, and nothing is seen without a session.

import { Problem } from './http.js';
import { currentLogin, logInAsAdmin, onLogin } from './session.js';
import { onChange, state } from './state.js';
import { toast } from './toast.js';

let begun = false;

/** Return whether the page is logging in by itself now. */
export function isLoggingIn() {
  return begun;
}

/** Log in as admin as soon as the node allows it, once: who logs out stays so. */
export function logInByItself() {
  let done = currentLogin() !== null;
  onLogin(() => {
    done = true;
  });
  onChange((change) => {
    if (done || !change.node || !state.about?.ready || !state.about.mayChange || state.refused !== null) return;
    done = begun = true;
    void logIn();
  });
}

async function logIn() {
  try {
    await logInAsAdmin();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    toast('bad', error.text);
  } finally {
    begun = false;
  }
}
