// Small helpers: the page is made by the server, so little is built here, and never from text as HTML.
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
export const root = document.documentElement;
export const meta = name => $(`meta[name="${name}"]`)?.content ?? '';

// Returns an element with attributes and children; strings become text.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name, value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.filter(child => child != null));
  return made;
}

// Returns the part of a path that names an app, or its backing component: shop, shop/components/db.
export const appPath = app => app.split('/').map(encodeURIComponent).join('/components/');

export const clock = (at = new Date()) => at.toLocaleTimeString([], {hour: '2-digit', minute: '2-digit', second: '2-digit'});

// Returns how long ago that was, as pages/parts/times.py has it: tests/web/test_durations.py compares the two.
export function ago(text) {
  const seconds = (Date.now() - Date.parse(text)) / 1000;
  for (const [size, unit] of [[86400, 'day'], [3600, 'h'], [60, 'min']]) {
    if (seconds >= size) {
      const count = Math.floor(seconds / size);
      return `${count} ${unit}${unit === 'day' && count !== 1 ? 's' : ''} ago`;
    }
  }
  return 'just now';
}

// Returns a duration that still runs: 0:14.
export const stopwatch = seconds => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

const PATIENCE = 15000;

// Fetches a piece of a page. Resolves with null when nobody is signed in any more: then the page is loaded anew. Rejects
// when nothing came: a connection may break, or neither break nor bring anything.
export async function piece(url, headers = {'X-Fragment': '1'}) {
  const answer = await fetch(url, {headers, credentials: 'same-origin', signal: AbortSignal.timeout(PATIENCE)});
  if (answer.status === 401) {
    location.reload();
    return null;
  }
  return {ok: answer.ok, status: answer.status, stale: answer.headers.has('Deployctl-Stale'), text: await answer.text()};
}

// Returns a selector that finds the element again after its piece of the page was made anew, null when there is none.
export function pathTo(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.dataset.key) return `[data-key="${element.dataset.key}"]`;
  const form = element.closest('form[data-act]');
  const to = form && ($('[name=to_version], [name=version]', form)?.value ?? '');
  if (form) return `form[data-act="${form.dataset.act}"]${to ? `:has([value="${CSS.escape(to)}"])` : ''} button`;
  return element.matches('a[href]') ? `a[href="${CSS.escape(element.getAttribute('href'))}"]` : null;
}
