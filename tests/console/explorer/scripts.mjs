// The explorer's modules, for tests outside of a browser.

const SCRIPTS = new URL('../../../simulator/imagestore_sim/console/static/scripts/', import.meta.url);

/** Return a module by its path below `scripts`. */
export const script = (path) => import(new URL(path, SCRIPTS).href);
