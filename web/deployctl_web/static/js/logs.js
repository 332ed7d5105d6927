// The log page follows at its bottom only. Whoever scrolls up reads in peace, and sees how many lines are new.
import {$, $$, el, piece} from './dom.js';

const MOST = 2000, EVERY = 1500, SAID = 10000;
const list = $('#log[data-more]');

if (list) {
  const more = $('#log-more'), count = $('#log-count'), follow = $('#log-follow');
  let following = true, unread = 0, saidAt = 0, busy = false;
  const bottom = () => list.scrollHeight - list.scrollTop - list.clientHeight < 24;
  const toEnd = () => { list.scrollTop = list.scrollHeight; unread = 0; mark(); };
  const mark = () => {
    follow?.setAttribute('aria-pressed', String(following));
    if (follow) follow.textContent = following ? 'Following' : 'Follow';
    if (!more) return;
    if (unread && (more.hidden || Date.now() - saidAt > SAID)) {
      saidAt = Date.now();
      count.textContent = unread === 1 ? '1 new line' : `${unread} new lines`;
    }
    more.hidden = !unread;
  };
  list.addEventListener('scroll', () => { following = bottom(); if (following) unread = 0; mark(); });
  follow?.addEventListener('click', () => { following = !following; if (following) toEnd(); mark(); });
  more?.addEventListener('click', () => { following = true; toEnd(); });

  async function look() {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const last = $$('li[data-at]', list).at(-1)?.dataset.at ?? '';
      const got = await piece(`${list.dataset.more}${list.dataset.more.includes('?') ? '&' : '?'}after=${encodeURIComponent(last)}`);
      if (!got?.ok) return;
      const template = document.createElement('template');
      template.innerHTML = got.text;
      const lines = $$('li', template.content);
      if (!lines.length) return;
      $('.nothing', list)?.remove();
      list.append(...lines);
      for (const old of $$('li', list).slice(0, Math.max(0, list.children.length - MOST))) old.remove();
      if (following) toEnd();
      else unread += lines.length;
      mark();
    } finally {
      busy = false;
    }
  }
  toEnd();
  mark();
  setInterval(() => look().catch(() => {}), EVERY);
}
