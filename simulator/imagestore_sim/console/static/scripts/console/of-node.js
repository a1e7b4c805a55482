// What one node of several keeps for itself: which node that is, in a line that a node alone does not have.

import { h, setText } from '../lib/dom.js';
import { answererText, answerers, hasSeveral, nameOf, onNodes } from '../lib/nodes.js';

/** Return the line, and what ends it. @param {string} what  such as `Requests` */
export function ofNode(what) {
  const element = h('span', { class: 'soft', hidden: true });
  const show = () => {
    const [first, ...others] = answerers();
    element.hidden = first === undefined || !hasSeveral();
    setText(element, others.length > 0 ? `${what} of one node each time: ${answererText()}` : `${what} of ${nameOf(first ?? '')} alone`);
  };
  show();
  return { element, end: onNodes(show) };
}
