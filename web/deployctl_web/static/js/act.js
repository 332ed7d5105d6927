// Sends what a form asks for, shows what became of it, and never pretends: the page changes when the server has answered.
import {$, $$, appPath, el, meta, root} from './dom.js';
import {freshAt, refresh, refreshAll} from './live.js';
import {ask, close, show} from './ask.js';

const TIME = 3500, LATE = 60000, OLD = 10000, INERT = 700, UNDO = 30, AGAIN = 1000;
const NOT_SENT = new Set(['csrf_token', 'revision', 'key']);
const TRUE = new Set(['yes', 'abort']), NUMBERS = new Set(['release', 'replicas']);

document.addEventListener('submit', event => {
  const form = event.target;
  if (!form.matches('form[data-act]') || form.closest('.page')) return;  // a question on a page of its own goes on to the app's
  event.preventDefault();
  if (form.dataset.busy) return;
  const wish = wishOf(form, event.submitter);
  if (repeats(wish)) return;
  close();
  if (root.dataset.conn === 'lost' || (freshAt < Date.now() - OLD && root.dataset.conn !== 'live')) return askOld(wish, form);
  send(wish, form, event.submitter);
});

function wishOf(form, submitter) {
  const fields = new FormData(form);
  if (submitter?.name) fields.append(submitter.name, submitter.value);
  const body = {};
  for (const [name, value] of fields) if (!NOT_SENT.has(name) && value.trim()) body[name] = TRUE.has(name) ? true : NUMBERS.has(name) ? Number(value) : value.trim();
  return {verb: form.dataset.act, app: form.dataset.app, revision: fields.get('revision'), body, key: crypto.randomUUID?.() ?? `${Date.now()}${Math.random()}`};
}

// The page may show what was done before the answer to the click has come, with a fresh button where the finger still is.
const unanswered = new Set();
const repeats = wish => [...unanswered].some(one => one.app === wish.app && (MOVES.has(one.verb) ? MOVES.has(wish.verb)
  : one.verb === wish.verb && JSON.stringify(one.body) === JSON.stringify(wish.body)));

export async function send(wish, form = null, button = null) {
  unanswered.add(wish);
  try {
    await sendNow(wish, form, button);
  } finally {
    unanswered.delete(wish);
  }
}

let turns = 0;
async function sendNow(wish, form, button) {
  const turn = ++turns;  // what was asked for later may be answered first: its toast stays
  const started = performance.now(), focused = Boolean(button && (button === document.activeElement || form?.contains(document.activeElement)));
  if (form) form.dataset.busy = '1';
  const label = button && ($('span', button) ?? button), was = label?.textContent;
  if (button) {
    button.disabled = true;
    setTimeout(() => { if (button.disabled) label.textContent = MOVES.has(wish.verb) ? 'Switching…' : 'Working…'; }, 150);
  }
  const answering = post(wish), late = Symbol('late');
  const first = await Promise.race([answering, new Promise(done => setTimeout(done, TIME, late))]);
  const {answer, told} = first === late ? {} : first;
  const ms = performance.now() - started;
  if (answer?.ok && form?.contains(document.activeElement)) document.activeElement.blur();  // what was typed has been sent
  const fresh = refreshAll().catch(() => {});
  if (answer?.ok) await fresh;
  for (const region of $$('[data-refresh]')) refresh(region);  // charts and logs are of who serves now
  if (form) delete form.dataset.busy;
  if (button) {
    button.disabled = false;
    label.textContent = was;
  }
  inert();
  if (answer) return settle(wish, answer, told, ms, turn, focused);
  const box = unknown(wish);
  if (first === late) answering.then(async ({answer: slow, told: said}) => {
    if (!slow) return;
    await refreshAll().catch(() => {});
    box.remove();
    settle(wish, slow, said, performance.now() - started, turn, false);
  });
}

// Resolves with what the server has answered. A connection may break on the way back: by its key it is done once. Whoever
// waits is told before long; the request itself is not given up, or a slow server might never do what was clicked.
async function post(wish) {
  const headers = {'Content-Type': 'application/json', 'X-CSRFToken': meta('csrf-token'), 'Idempotency-Key': wish.key};
  if (wish.revision) headers['If-Match'] = `"${wish.revision}"`;
  const signal = AbortSignal.timeout(LATE);
  for (let tries = 3; tries && !signal.aborted; tries--) {
    try {
      const answer = await fetch(`/api/v1/apps/${appPath(wish.app)}/${wish.verb}`, {
        method: 'POST', headers, body: JSON.stringify(wish.body), credentials: 'same-origin', signal});
      return {answer, told: await answer.json()};
    } catch {
      await new Promise(done => setTimeout(done, 250));
    }
  }
  return {};
}

function settle(wish, answer, told, ms, turn, focused) {
  if (answer.ok && turn === turns) succeeded(wish, told, answer.status, ms, focused);
  else if (!answer.ok) refused(wish, told, answer.status);
}

// What takes longer is asked about until it has ended: the toast must not go on saying that it is under way.
async function follow(wish, id, turn) {
  for (let told = null; !told?.done;) {
    await new Promise(done => setTimeout(done, AGAIN));
    const answer = await fetch(`/api/v1/operations/${id}`, {credentials: 'same-origin'}).catch(() => null);
    if (answer && !answer.ok) return turn === turns ? hide() : undefined;  // the server was started anew: the page tells the rest
    told = await answer?.json();
    if (!told?.done) continue;
    await refreshAll().catch(() => {});
    if (told.error && !told.deployment) refused(wish, told.error, told.error.status);  // else the page tells it already
    if (turn !== turns) return;
    if (told.result) succeeded(wish, told.result, 200, told.result.total_ms, false);
    else hide();
  }
}

const MOVES = new Set(['rollback', 'undo']);

function succeeded(wish, told, status, ms, focused) {
  if (status === 202) {
    follow(wish, told.id, turns).catch(() => {});
    return toast(`${named(wish)} is in progress.`, '', {focused});
  }
  if (!told.to) return toast(told.summary ?? `${named(wish)}: done.`, '', {focused});
  const to = live(told);
  if (told.changed === false) return toast(`${to} is already live.`, 'Nothing was done.', {focused});
  const most = told.failed_precision === 'at_most' ? 'at most ' : '';
  const lost = told.failed_requests == null ? '' : told.failed_requests ? `, ${most}${told.failed_requests} requests failed` : ', no request was lost';
  const undo = MOVES.has(wish.verb) && {verb: 'undo', app: wish.app, revision: String(told.revision), body: {}};
  if (wish.app.includes('/')) return toast(`${wish.app} runs ${to}.`, `Took ${(ms / 1000).toFixed(1)} s.`, {focused});
  toast(`Traffic is on ${to}.`, `Took ${(ms / 1000).toFixed(2)} s${lost}.`, {focused, undo});
}

// Releases of one version are told apart by their numbers.
const live = told => told.from === told.to && told.from_release !== told.to_release ? `${told.to}@${told.to_release}` : told.to;

function refused(wish, told, status) {
  const text = told.detail ?? told.title ?? `The server responded with ${status}.`;
  if (told.code === 'confirmation_needed' && wish.verb === 'upgrade') return sure(wish, text);
  if (told.code === 'confirmation_needed') return ask(askUrl(wish)).catch(() => notice(text, told));
  if (status === 401) return location.assign(`/login?${new URLSearchParams({next: location.pathname + location.search, undone: 'yes'})}`);
  if (told.code === 'aborted') return;  // by a later click, or by somebody else: the page tells it
  if (status === 423) return busy(wish, told);
  if (told.code === 'state_changed') return notice(`${sentence(text)} Your click was not carried out.`, {...told, remedy: []});
  notice(text, told);
}

function unknown(wish) {
  const line = `deployctl status ${wish.app}`;
  return notice('Not confirmed yet: the server did not respond in time. The page now shows the latest state.', {remedy: [line]});
}

export const askUrl = wish => `/apps/${appPath(wish.app)}/ask?${new URLSearchParams({verb: wish.verb, ...(wish.body.to_version ?? wish.body.version ? {to: wish.body.to_version ?? wish.body.version} : {}),
  ...(wish.body.release && {release: wish.body.release})})}`;

function busy(wish, told) {
  const back = wish.verb === 'rollback' && !wish.body.abort;
  const go = change => () => { close(); send({...wish, key: crypto.randomUUID?.() ?? String(Math.random()), body: {...wish.body, ...change}}); };
  show(el('div', {class: 'ask'},
    el('h2', {id: 'askh'}, `${wish.app} is busy`), el('p', {}, told.detail ?? ''),
    el('footer', {},
      el('button', {class: 'btn', type: 'button', click: close, autofocus: true}, 'Cancel'),
      el('button', {class: 'btn', type: 'button', click: go({})}, 'Try again'),
      back && el('button', {class: 'btn pri', type: 'button', click: go({abort: true})}, 'Abort it and roll back now') || null)));
}

// What was typed into the form is sent once more, with the yes.
function sure(wish, text) {
  const go = () => { close(); send({...wish, key: crypto.randomUUID?.() ?? String(Math.random()), body: {...wish.body, yes: true}}); };
  show(el('div', {class: 'ask'},
    el('h2', {id: 'askh'}, `${named(wish)}?`), el('p', {}, text),
    el('footer', {},
      el('button', {class: 'btn', type: 'button', click: close, autofocus: true}, 'Cancel'),
      el('button', {class: 'btn pri', type: 'button', click: go}, named(wish)))));
}

function askOld(wish, form) {
  show(el('div', {class: 'ask'},
    el('h2', {id: 'askh'}, `${named(wish)}, although this page is out of date?`),
    el('p', {}, 'The connection to the server was lost. If something has changed in the meantime, nothing will be done.'),
    el('footer', {},
      el('button', {class: 'btn', type: 'button', click: close, autofocus: true}, 'Cancel'),
      el('button', {class: 'btn pri', type: 'button', click: () => { close(); send(wish, form); }}, named(wish)))));
}

const VERBS = {rollback: 'Roll back', upgrade: 'Deploy', undo: 'Undo', start: 'Start', stop: 'Stop', hold: 'Hold', unhold: 'Release the hold', abort: 'Abort this deployment', prune: 'Prune containers', scale: 'Scale', restart: 'Restart'};
const named = wish => `${VERBS[wish.verb] ?? wish.verb}${wish.body.to_version || wish.body.version ? ` ${wish.verb === 'rollback' ? 'to ' : ''}${wish.body.to_version ?? wish.body.version}` : ''}`;
const sentence = text => /^\p{L}+[ ,:;]/u.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;  // names stay as they are

// A second click must not take back what the first one did, nor may it on a button that has come in the meantime.
let inertUntil = 0;
function inert() {
  inertUntil = performance.now() + INERT;
  still();
  setTimeout(() => { if (performance.now() >= inertUntil) still(false); }, INERT + 1);
}

function still(yes = true) {
  for (const one of $$('form[data-act] button, a[data-ask]')) one.inert = yes;
}
document.addEventListener('swapped', () => { if (performance.now() < inertUntil) still(); });

let ticking = 0, offered = null;
function hide() {
  clearInterval(ticking);
  $('#toast').classList.remove('on');
  $('#toast').replaceChildren();
}

// What somebody else has changed since cannot be undone from here.
document.addEventListener('told', ({detail: {kind, data}}) => {
  if (kind === 'state' && data.app === offered?.app && data.revision > offered.revision) hide();
});

export function toast(title, text = '', {focused = false, undo = null} = {}) {
  const place = $('#toast');
  clearInterval(ticking);
  offered = undo;
  const head = el('h2', {tabindex: '-1'}, title), left = el('span', {class: 'num'}, `${UNDO} s`);
  place.replaceChildren(el('div', {}, head, el('p', {}, text)));
  if (undo) place.append(el('button', {type: 'button', id: 'undo', click: event => { const button = event.currentTarget; send({...undo, key: crypto.randomUUID?.() ?? String(Math.random())}, null, button).then(() => button.isConnected && hide()); }}, el('span', {}, 'Undo'), left));
  place.append(el('button', {type: 'button', class: 'x', 'aria-label': 'Close', click: hide}, '×'));
  place.classList.add('on');
  if (focused) head.focus({preventScroll: true});
  let seconds = UNDO;
  ticking = setInterval(() => {
    seconds -= 1;
    left.textContent = `${seconds} s`;
    if (seconds <= 0) hide();
  }, 1000);
}

// What was refused stays until somebody has read it.
export function notice(text, {remedy = [], serving = null, details = []} = {}) {
  const place = $('#notices') ?? $('main');
  $('.notice.told')?.remove();
  const serves = serving?.version ? ` ${serving.version} is the live version of ${serving.app ?? ''}.` : '', end = /[.!?…]$/.test(text) ? '' : '.';
  const box = el('div', {class: 'notice told', role: 'alert', tabindex: '-1'},
    el('div', {}, el('p', {}, sentence(text) + end + serves),
      ...details.slice(0, 8).map(line => el('p', {class: 'mono'}, line)),
      ...remedy.map(line => el('p', {class: 'mono'}, line))),
    el('button', {type: 'button', class: 'icon', 'aria-label': 'Dismiss', click: () => box.remove()}, '×'));
  place.prepend(box);
  if (!document.activeElement?.matches('input, textarea, select')) box.focus({preventScroll: false});
  return box;
}
