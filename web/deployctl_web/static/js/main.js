// Everything works without this; with it the page is live, and a click is answered in place.
import './live.js';
import './stream.js';
import './ask.js';
import './act.js';
import './keys.js';
import './logs.js';
