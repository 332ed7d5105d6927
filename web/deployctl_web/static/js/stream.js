// One stream for a whole browser: one tab has it (Web Locks), the others listen to that tab (BroadcastChannel).
// Without a stream the page asks every five seconds. What is old says so, and then every click asks first.
import {$, clock, root} from './dom.js';
import {freshAt, metrics, refreshAll} from './live.js';

const me = crypto.randomUUID?.() ?? String(Math.random());
const mine = $('[data-live][data-app]')?.dataset.app ?? ($('[data-live]') ? '' : null);  // '' looks at all apps, null at none
const channel = 'BroadcastChannel' in window ? new BroadcastChannel('deployctl') : null;
const wants = new Map();  // tab → {app, at}
const POLL = 5000, QUIET = 15000, HIDDEN = 60000, GREY = 10000, FIRST = 2000, LAST = 30000;
const DEAD = 35000;  // a stream says at least every ten seconds that it is there: after that its connection is only believed to be

let source = null, url = '', heardAt = 0, tryAt = 0, pause = FIRST, release = null, away = false;
let whole = false;  // everything was asked for since this tab began to listen: what happened before that it cannot have heard

function want() {
  if (mine === null || away) return;
  wants.set(me, {app: mine, at: Date.now()});
  channel?.postMessage({want: me, app: mine});
}

// Opens the stream for what all tabs look at together.
function tune() {
  if (!release) return;
  for (const [tab, one] of wants) if (Date.now() - one.at > 25000) wants.delete(tab);
  const apps = new Set([...wants.values()].map(one => one.app));
  const next = apps.size ? `/events?${[...apps].sort().map(app => app ? `app=${encodeURIComponent(app)}` : 'all=1').join('&')}` : '';
  if (next === url && source?.readyState !== 2) return;
  if (next === url && Date.now() < tryAt) return;
  open(next);
}

function open(next) {
  source?.close();
  [source, url] = [null, next];
  if (!next) return;
  source = new EventSource(next);
  for (const kind of ['snapshot', 'state', 'progress', 'metrics', 'notice']) {
    source.addEventListener(kind, event => {
      const told = {kind, data: JSON.parse(event.data)};
      hear(told);
      channel?.postMessage({told});
    });
  }
  source.addEventListener('beat', () => {
    heardAt = Date.now();
    channel?.postMessage({alive: true});
  });
  source.onopen = () => {
    [heardAt, pause] = [Date.now(), FIRST];
    channel?.postMessage({alive: true});
  };
  source.onerror = () => {  // a stream that broke off the browser opens again; one that was refused it leaves to us
    if (source?.readyState !== 2) return;
    tryAt = Date.now() + pause;
    pause = Math.min(2 * pause, LAST);
    refreshAll().catch(() => {});  // whoever is signed out sees it now, and not with the next question
  };
}

function hear({kind, data}) {
  heardAt = Date.now();
  if (kind === 'metrics') metrics(data.app, data.releases, data.components);
  else if (kind === 'state' && mine && data.app !== mine) return;
  else if (kind === 'progress') progress(data);
  else renew();
  document.dispatchEvent(new CustomEvent('told', {detail: {kind, data}}));
}

function renew() {
  whole = true;
  return refreshAll().catch(() => {});
}

// The words of the step under way change often: they are written in place.
function progress(data) {
  const place = $('[data-progress]');
  if (place && mine === data.app && data.detail) place.textContent = data.detail;
  if (data.done) refreshAll().catch(() => {});
}

if (channel) channel.onmessage = ({data}) => {
  if (data.want) {
    wants.set(data.want, {app: data.app, at: Date.now()});
    tune();
  } else if (data.leave) {
    wants.delete(data.leave);
    tune();
  } else if (data.alive) heardAt = Date.now();
  else if (data.told && !release && !away) hear(data.told);
};

function lead() {
  if (!navigator.locks || !channel) {
    release = () => {};
    return;
  }
  navigator.locks.request('deployctl-stream', () => new Promise(done => {
    release = done;
    want();
    tune();
  }));
}

// A tab that nobody has seen for a minute gives its stream away.
let hidden = 0;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hidden);
  if (document.hidden) hidden = setTimeout(leave, HIDDEN);
  else if (away) {
    away = false;
    lead();
    want();
    refreshAll().catch(() => {});
  }
});

function leave() {
  away = true;
  wants.delete(me);
  channel?.postMessage({leave: me});
  source?.close();
  [source, url] = [null, ''];
  release?.();
  release = null;
}
addEventListener('pagehide', leave);
addEventListener('pageshow', event => {
  if (!event.persisted) return;
  away = false;
  lead();
  want();
  refreshAll().catch(() => {});
});

// Says how fresh the page is, and asks by itself when no stream does.
let polledAt = 0;
async function watch() {
  if (mine === null || away) return;
  want();
  tune();
  if (release && source?.readyState === 1 && Date.now() - heardAt > DEAD) open(url);
  if (release && source?.readyState === 1) channel?.postMessage({alive: true});
  if (!whole || (!hears() && Date.now() - polledAt >= POLL)) {
    polledAt = Date.now();
    await renew();
  }
  show(hears() ? 'live' : Date.now() - freshAt < 2 * POLL ? 'polling' : 'lost');
}

const hears = () => release ? source?.readyState === 1 : Date.now() - heardAt < QUIET;

function show(state) {
  const place = $('#conn'), was = root.dataset.conn;
  root.dataset.conn = state;
  root.classList.toggle('old', state === 'lost' && Date.now() - freshAt > GREY);
  if (!place || (was === state && state !== 'lost')) return;
  const words = {live: place.dataset.words || 'Live', polling: 'Polling every 5 s', lost: `Reconnecting… data from ${clock(new Date(freshAt))}`};
  const text = $('span', place) ?? place;
  if (text.textContent !== words[state]) text.textContent = words[state];
}

if (mine !== null) {
  lead();
  want();
  setTimeout(watch, 300);
  setInterval(watch, 2000);
}
