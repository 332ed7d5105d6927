// Keeps the server's own pieces fresh: each is asked for again when something changed, and swapped as a whole.
import {$, $$, ago, pathTo, piece, stopwatch} from './dom.js';

const pending = new Map();  // element → promise of the refresh under way
const again = new Set();    // elements for which something changed meanwhile
const pauses = new Map();   // element whose last fetch failed → milliseconds until the one after the next
const FIRST = 1000, LAST = 30000, FINAL = new Set([403, 404]);
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

// Resolves when the piece shows what is so now. A change during a fetch means one more fetch. A piece that did not come,
// or that the server itself calls stale, is asked for again: nothing else would tell that the page is behind.
export function refresh(region) {
  if (pending.has(region)) {
    again.add(region);
    return pending.get(region);
  }
  const work = fetched(region).then(whole => whole ? pauses.delete(region) : askLater(region));
  pending.set(region, work);
  return work;
}

// Returns whether the last of its fetches brought the piece as it is now.
async function fetched(region) {
  const url = region.dataset.live ?? region.dataset.refresh;
  const bar = setTimeout(() => document.body.classList.add('waiting'), 300);
  let got = null;
  try {
    do {
      again.delete(region);
      got = await piece(url).catch(() => ({ok: false, status: 0}));
      if (!got?.ok) continue;
      swap(region, got.text);
      freshAt = Date.now();
    } while (again.has(region));
  } finally {
    clearTimeout(bar);
    document.body.classList.remove('waiting');
    pending.delete(region);
  }
  return got === null || (got.ok ? !got.stale : FINAL.has(got.status));
}

function askLater(region) {
  const pause = pauses.get(region) ?? FIRST;
  pauses.set(region, Math.min(2 * pause, LAST));
  setTimeout(() => { if (region.isConnected && pauses.has(region)) refresh(region); }, pause);
}

// A click is a press and a release of the same element, and the browser drops it if that was replaced between the two: so
// what is pressed stays until it is released. A press that is never released keeps the page for a few seconds at most.
const HELD = 5000, TAP = 350;  // milliseconds; a finger's click comes that much after it has left
let pressed = null, held = 0;
const waiting = new Map();  // region → what is to be put into it

function press(element) {
  clearTimeout(held);
  pressed = element;
  held = setTimeout(letGo, HELD);
}

function letGo() {
  clearTimeout(held);
  pressed = null;
  const due = [...waiting];
  waiting.clear();
  for (const [region, html] of due) if (region.isConnected) swap(region, html);
}

const letGoSoon = () => { if (pressed) setTimeout(letGo); };  // the click itself comes first
const on = (kinds, act) => { for (const kind of kinds) document.addEventListener(kind, act, {capture: true, passive: true}); };
on(['pointerdown'], event => press(event.target));
on(['pointercancel', 'dragend', 'click'], letGoSoon);
on(['pointerup'], event => { if (event.pointerType === 'mouse') letGoSoon(); else setTimeout(letGo, TAP); });
on(['keydown'], event => { if (event.key === ' ' && !event.repeat) press(event.target); });
on(['keyup'], event => { if (event.key === ' ') letGoSoon(); });
addEventListener('blur', letGoSoon);

// Puts the new inside in place; focus, open menus and what somebody is typing stay.
function swap(region, html) {
  if (pressed && region.contains(pressed)) {
    waiting.set(region, html);
    return;
  }
  waiting.delete(region);
  if (region.dataset.was === html) return;
  const focused = region.contains(document.activeElement) ? pathTo(document.activeElement) : null;
  if (focused && document.activeElement.matches('input:not([type=hidden]), textarea, select')) {
    document.activeElement.onblur ??= () => setTimeout(() => refresh(region));
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
export function metrics(app, releases, components = []) {
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
  for (const one of components) {
    if (one.cpu_percent != null) write(scope, one.release, 'cpu', `${Math.round(one.cpu_percent)} %`, null, one.component);
    write(scope, one.release, 'memory', memory(one), null, one.component);
  }
}

const rate = value => value >= 10 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, '');
const mega = bytes => String(Math.round(bytes / 1048576));
const memory = one => one.memory_limit ? `${mega(one.memory)} / ${mega(one.memory_limit)} MB` : `${mega(one.memory)} MB`;

function write(scope, release, name, text, share = null, component = '') {
  const whose = component ? `[data-component="${CSS.escape(component)}"]` : ':not([data-component])';
  for (const place of $$(`[data-metric="${name}"][data-release="${release}"]${whose}`, scope)) {
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
      refresh(region);
    } else region.askedAt ??= now;
  }
}, 1000);

// What is only for looks is fetched once the page stands: it was left empty to be fast.
for (const region of $$('[data-refresh]:empty')) refresh(region);
