// Keys for who knows them. Single ones are off while somebody types, can be switched off, and never act without asking.
import {$, $$, el, meta} from './dom.js';
import {ask, show} from './ask.js';

const GO = {a: '/', s: '/server', y: '/activity', t: '/settings'};
const LIST = [['Ctrl K', 'Find an app, a version, an action'], ['G A', 'Apps'], ['G Y', 'Activity'], ['G S', 'Server'], ['G L', 'Logs of this app'],
  ['R', 'Roll back (asks)'], ['D', 'Deploy a version'], ['L', 'Logs'], ['/', 'Filter'], ['?', 'Keyboard shortcuts'], ['Esc', 'Close']];
let after = 0;

document.addEventListener('keydown', event => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k' && !event.altKey) {
    event.preventDefault();
    palette();
    return;
  }
  if (meta('keys') === 'off' || event.ctrlKey || event.metaKey || event.altKey || $('dialog[open]')) return;
  if (event.target.closest?.('input, textarea, select, [contenteditable]')) return;
  const key = event.key.toLowerCase(), going = Date.now() - after < 1500;
  after = key === 'g' ? Date.now() : 0;
  if (going && (GO[key] || key === 'l')) location.assign(GO[key] ?? $('[data-key="l"]')?.href ?? location.href);
  else if (key === '?') keys();
  else if (key.length === 1 && key !== 'g') press(event, key);
});

function press(event, key) {
  const target = $(`[data-key="${CSS.escape(key)}"]`);
  if (!target) return;
  event.preventDefault();
  const form = target.closest('form[data-act]');
  if (form) {
    const to = $('[name=to_version], [name=version]', form)?.value, release = $('[name=release]', form)?.value;
    ask(`/apps/${encodeURIComponent(form.dataset.app)}/ask?${new URLSearchParams({verb: form.dataset.act, ...(to && {to}), ...(release && {release})})}`).catch(() => {});
  } else if (target.matches('input')) target.focus();
  else target.click();
}

function keys() {
  show(el('div', {class: 'ask'}, el('h2', {id: 'askh'}, 'Keys'),
    el('dl', {class: 'keys'}, ...LIST.map(([key, text]) => el('div', {}, el('dt', {}, el('kbd', {}, key)), el('dd', {}, text)))),
    el('footer', {}, el('a', {class: 'btn', href: '/settings'}, 'Turn off single-key shortcuts'), el('button', {class: 'btn pri', type: 'button', 'data-close': true}, 'Close'))));
}

async function palette() {
  const list = el('ul', {role: 'listbox', id: 'found', 'aria-label': 'Found'});
  const field = el('input', {class: 'field wide', type: 'search', role: 'combobox', 'aria-expanded': 'true', 'aria-controls': 'found', 'aria-label': 'Find an app, a version, an action', placeholder: 'App, version or action', autofocus: true, autocomplete: 'off'});
  show(el('div', {class: 'ask palette'}, el('h2', {id: 'askh', class: 'sr'}, 'Find'), field, list));
  const pages = [['Apps', '/'], ['Activity', '/activity'], ['Server', '/server'], ['Settings', '/settings']].map(([text, href]) => ({text, href}));
  let items = pages, at = 0, chosen = null;
  const go = item => item.ask ? ask(item.href).catch(() => location.assign(item.href)) : location.assign(item.href);
  const draw = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = items.filter(item => words.every(word => item.text.toLowerCase().includes(word))).slice(0, 12);
    at = Math.max(0, Math.min(at, found.length - 1));
    list.replaceChildren(...found.map((item, n) => el('li', {role: 'option', id: `found-${n}`, 'aria-selected': String(n === at), click: () => go(item)}, item.text)));
    chosen = found[at];
    field.setAttribute('aria-activedescendant', found.length ? `found-${at}` : '');
  };
  field.addEventListener('input', () => { at = 0; draw(); });
  field.addEventListener('keydown', event => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step) {
      event.preventDefault();
      at += step;
      draw();
    } else if (event.key === 'Enter') {
      event.preventDefault();
      if (chosen) go(chosen);
    }
  });
  draw();
  const answer = await fetch('/api/v1/apps', {credentials: 'same-origin'}).catch(() => null);
  if (!answer?.ok) return;
  const {apps} = await answer.json();
  items = apps.flatMap(one => actions(one)).concat(pages);
  draw();
}

function actions(one) {
  const base = `/apps/${encodeURIComponent(one.app)}`;
  const several = new Set(one.instances.map(each => each.version).filter((version, n, all) => all.indexOf(version) !== n));
  const name = each => several.has(each.version) ? `${each.version}@${each.release}` : each.version;
  const go = each => ({text: `Roll back ${one.app} to ${name(each)}`, href: `${base}/ask?${new URLSearchParams({verb: 'rollback', to: each.version, release: each.release})}`, ask: true});
  const others = one.instances.filter(each => each.role !== 'active' && each.readiness?.ready);
  return [{text: one.app, href: base}, {text: `Deploy a version of ${one.app}`, href: `${base}/deploy`, ask: true}, {text: `Logs of ${one.app}`, href: `${base}/logs`},
    ...others.map(go),
    ...one.instances.map(each => ({text: `${one.app} ${name(each)}`, href: `${base}/versions/${encodeURIComponent(each.version)}?release=${each.release}`}))];
}

document.addEventListener('click', event => {
  if (event.target.closest('#palette-open')) palette();
  if (event.target.closest('[data-keys]')) keys();
  const copy = event.target.closest('[data-copy]');
  if (copy) navigator.clipboard?.writeText(copy.dataset.copy).then(() => { copy.textContent = 'Copied'; });
});
const useful = () => { for (const hidden of $$('[data-needs-js]')) hidden.hidden = false; };
document.addEventListener('swapped', useful);
useful();
