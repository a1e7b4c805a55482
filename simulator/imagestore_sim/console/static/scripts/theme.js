// Set the chosen theme before the page is drawn. This is no module, since those run later.
{
  const chosen = localStorage.getItem('imagestore-sim theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
}
