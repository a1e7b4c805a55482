// Style sheets that only some views need.

/** @type {Map<string, Promise<void>>} */
const loaded = new Map();

/** Load `/console/styles/NAME.css` once; return when it counts. @param {string} name */
export function useStyles(name) {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const loading = new Promise((/** @type {(value: void) => void} */ resolve) => {
    const link = document.createElement('link');
    link.rel = 'stylesheet';
    link.href = `/console/styles/${name}.css`;
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
  loaded.set(name, loading);
  return loading;
}
