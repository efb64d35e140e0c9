const $ = (id) => document.getElementById(id);

const call = async (method, path, body) => {
  const response = await fetch(path, {
    method,
    headers: method === "POST" ? { "Content-Type": "application/json" } : {},
    body: method === "POST" ? JSON.stringify(body ?? {}) : undefined,
  });
  return { response, text: await response.text() };
};

// Asks who is logged in. If the access token has expired, one tab at a time refreshes it, because a
// refresh token works only once.
const who = async () => {
  const me = await call("GET", "/me");
  if (me.response.status !== 401) return me;
  return navigator.locks.request("refresh", async () => {
    const again = await call("GET", "/me");
    if (again.response.status !== 401) return again;
    const refresh = await call("POST", "/auth/refresh");
    return refresh.response.ok ? call("GET", "/me") : again;
  });
};

// The clock comes in a stream, which ends with the session: in every tab, and on every server.
let clock, timer;
const stop = () => {
  clearTimeout(timer);
  clock?.close();
  clock = undefined;
  $("clock").textContent = "";
};
const start = () => {
  if (clock) return;
  clock = new EventSource("/clock");
  clock.onmessage = ({ data }) => { $("clock").textContent = new Date(+data).toLocaleTimeString(); };
  clock.onerror = ({ target }) => {
    // A stream that has ended connects again, and a refused one does not. The page asks first, and waits after a
    // refusal.
    const refused = target.readyState === EventSource.CLOSED;
    stop();
    redrawIn(refused ? 3000 : 0);
  };
};

// Shows who is logged in. Returns the answer, or nothing if a later call counts.
let draws = 0;
const draw = async () => {
  const drawing = ++draws;
  const me = await who().catch(() => ({ response: unreachable }));
  // A call that started before a logout may end after it. Only the latest call counts.
  if (drawing !== draws) return undefined;
  const name = me.response.ok ? JSON.parse(me.text).username : "";
  const had = $("username").textContent;
  $("username").textContent = name;
  $("initial").textContent = name.slice(0, 1);
  $("in").hidden = !name;
  $("out").hidden = !!name;
  if (name || (had && me.response.status === 401)) $("ended").hidden = !!name;
  name ? start() : stop();
  if (!name && me.response.status !== 401) redrawIn(3000);
  return me;
};

// Removes everything private from the page.
const hide = () => {
  for (const id of ["username", "initial", "body"]) $(id).textContent = "";
  for (const id of ["in", "answer"]) $(id).hidden = true;
};

const redraw = async () => {
  const me = await draw();
  if (!me || me.response.ok) return;
  hide();
  if (!$("ended").hidden) show("GET", "/me", me.response, me.text);
};
const redrawIn = (delay) => {
  clearTimeout(timer);
  timer = setTimeout(redraw, delay);
};

// Another tab logged in or out.
const otherTabs = new BroadcastChannel("login");
otherTabs.onmessage = redraw;

// Another browser may have ended the session. The page checks when it becomes visible.
addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") redraw();
});

// The page was loaded, or Back or Forward restored it from memory. The browser stores a page as the user
// left it, so everything private is hidden first.
addEventListener("pageshow", redraw);
addEventListener("pagehide", () => {
  hide();
  stop();
});

const show = (method, path, { status, statusText, ok }, text) => {
  $("call").textContent = `${method} ${path}`;
  $("status").textContent = `${status} ${statusText}`;
  $("status").className = ok ? "good" : "bad";
  $("body").textContent = text;
  $("answer").hidden = false;
};

const unreachable = { status: "No answer", statusText: "", ok: false };

const on = (button, method, path, body = () => undefined) =>
  async (event) => {
    event.preventDefault();
    button.disabled = true;
    if (method === "POST") stop();
    try {
      const { response, text } = await call(method, path, body());
      show(method, path, response, text);
      if (method === "POST") otherTabs.postMessage("changed");
      await draw();
    } catch {
      show(method, path, unreachable, "The server cannot be reached.");
      redrawIn(3000);
    }
    button.disabled = false;
  };

const form = document.querySelector("form");
form.onsubmit = on($("login"), "POST", "/auth/login", () => Object.fromEntries(new FormData(form)));
$("logout").onclick = on($("logout"), "POST", "/auth/logout");
$("refresh").onclick = on($("refresh"), "POST", "/auth/refresh");
$("me").onclick = on($("me"), "GET", "/me");
