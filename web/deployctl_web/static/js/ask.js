// The one dialog: it shows a piece made by the server, or one of the few that this side makes itself.
import {$, pathTo, piece} from './dom.js';

const dialog = () => $('#ask');

export function show(content) {
  const box = dialog();
  if (!box) return;
  box.replaceChildren(content);
  if (!box.open) {
    const opener = document.activeElement, path = opener && pathTo(opener);
    box.addEventListener('close', () => {
      // The page was made anew behind the dialog: what opened it is another element now.
      if (path && !opener.isConnected) $(path)?.focus({preventScroll: true});
    }, {once: true});
    box.showModal();
  }
  ($('[autofocus]', box) ?? $('[data-close], button, input', box))?.focus();
}

export function close() {
  if (dialog()?.open) dialog().close();
}

// Shows the question behind that address. Where it cannot be had, the address itself is the page that asks.
export async function ask(url) {
  const got = await piece(url);
  if (!got?.ok) {
    location.assign(url);
    return;
  }
  const template = document.createElement('template');
  template.innerHTML = got.text;
  show(template.content);
}

document.addEventListener('click', event => {
  const link = event.target.closest('a[data-ask]');
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    ask(link.href).catch(() => location.assign(link.href));
  } else if (event.target.closest('[data-close]') && dialog()?.contains(event.target)) {
    event.preventDefault();
    close();
  } else if (event.target === dialog()) close();  // the backdrop
});
