// Keeps the server's own pieces fresh: each is asked for again when something changed, and swapped as a whole.
import {$, $$, ago, pathTo, piece, stopwatch} from './dom.js';

const pending = new Map();  // element → promise of the refresh under way
const again = new Set();    // elements for which something changed meanwhile
export let freshAt = Date.now();

export function refreshAll() {
  const regions = $$('[data-live]');
  return regions.length ? Promise.all(regions.map(refresh)) : renew();
}

// A page without live pieces is asked for as a whole, once something was done on it.
async function renew() {
  const got = await piece(location.href, {});
  const main = got?.ok && new DOMParser().parseFromString(got.text, 'text/html').querySelector('main');
  if (!main) return;
  $('main').replaceChildren(...main.childNodes);
  document.dispatchEvent(new CustomEvent('swapped', {detail: $('main')}));
}

// Resolves when the piece shows what is so now. A change during a fetch means one more fetch.
export function refresh(region) {
  const url = region.dataset.live ?? region.dataset.refresh;
  if (pending.has(region)) {
    again.add(region);
    return pending.get(region);
  }
  const work = (async () => {
    const bar = setTimeout(() => document.body.classList.add('waiting'), 300);
    try {
      do {
        again.delete(region);
        const got = await piece(url);
        if (got?.ok) {
          swap(region, got.text);
          freshAt = Date.now();
        }
      } while (again.has(region));
    } finally {
      clearTimeout(bar);
      document.body.classList.remove('waiting');
      pending.delete(region);
    }
  })();
  pending.set(region, work);
  return work;
}

// Puts the new inside in place; focus, open menus and what somebody is typing stay.
function swap(region, html) {
  if (region.dataset.was === html) return;
  const focused = region.contains(document.activeElement) ? pathTo(document.activeElement) : null;
  if (focused && document.activeElement.matches('input:not([type=hidden]), textarea, select')) {
    document.activeElement.onblur ??= () => setTimeout(() => refresh(region).catch(() => {}));
    return;
  }
  const open = $$('details[open][id]', region).map(one => one.id);
  const template = document.createElement('template');
  template.innerHTML = html;
  region.replaceChildren(template.content);
  region.dataset.was = html;
  for (const id of open) document.getElementById(id)?.setAttribute('open', '');
  if (focused) $(focused, region)?.focus({preventScroll: true});
  const head = $('[data-title]', region);
  if (head) document.title = head.dataset.title;
  if (head?.dataset.icon) $('link[rel=icon]').href = head.dataset.icon;
  document.dispatchEvent(new CustomEvent('swapped', {detail: region}));
}

// Numbers that change each second are written in place: no fetch, no swap.
export function metrics(app, releases) {
  const now = Object.entries(releases);
  const total = now.reduce((sum, [, one]) => sum + one.requests_per_s, 0);
  const scope = $(`[data-live][data-app="${CSS.escape(app)}"]`);
  if (!scope) return;
  for (const place of $$('[data-metric="total"]', scope)) place.textContent = rate(total);
  for (const [release, one] of now) {
    const bad = one.failed_per_s + one.answers_5xx_per_s;
    write(scope, release, 'requests', rate(one.requests_per_s));
    write(scope, release, 'share5xx', one.requests_per_s ? `${(100 * bad / one.requests_per_s).toFixed(1)} %` : '–');
    write(scope, release, 'response', one.response_ms == null ? '–' : `${Math.round(one.response_ms)} ms`);
    if (one.cpu_percent != null) write(scope, release, 'cpu', `${Math.round(one.cpu_percent)} %`, one.cpu_percent);
    if (one.memory != null) write(scope, release, 'memory', memory(one), one.memory_limit ? 100 * one.memory / one.memory_limit : null);
    if (one.restarts != null) write(scope, release, 'restarts', String(one.restarts));
  }
}

const rate = value => value >= 10 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, '');
const mega = bytes => String(Math.round(bytes / 1048576));
const memory = one => one.memory_limit ? `${mega(one.memory)} / ${mega(one.memory_limit)} MB` : `${mega(one.memory)} MB`;

function write(scope, release, name, text, share = null) {
  for (const place of $$(`[data-metric="${name}"][data-release="${release}"]`, scope)) {
    if (place.tagName === 'METER') {
      if (share != null) place.value = share;
    } else if (place.textContent !== text) place.textContent = text;
  }
}

setInterval(() => {
  for (const time of $$('time[data-ago]')) {
    const text = ago(time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
}, 5000);

// How long something has been in progress.
setInterval(() => {
  for (const place of $$('[data-running]')) {
    place.since ??= performance.now() - 1000 * place.dataset.running;
    place.textContent = stopwatch((performance.now() - place.since) / 1000);
  }
}, 1000);

setInterval(() => {
  if (document.hidden) return;
  const now = Date.now();
  for (const region of $$('[data-refresh]')) {
    if (now - (region.askedAt ?? now) >= 1000 * (region.dataset.every || 10)) {
      region.askedAt = now;
      refresh(region).catch(() => {});
    } else region.askedAt ??= now;
  }
}, 1000);

// What is only for looks is fetched once the page stands: it was left empty to be fast.
for (const region of $$('[data-refresh]:empty')) refresh(region).catch(() => {});
