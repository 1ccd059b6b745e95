// The connection. EventSource comes back by itself after a lost connection, but not after a refusal; and a server that hangs
// breaks no connection at all. A page that shows old numbers as new is worse than none, so silence counts as lost.

const SILENCE_MS = 5000;
const GIVE_UP_MS = 20000;
const RETRY_MIN_MS = 2000;
const RETRY_MAX_MS = 30000;

export class Feed {
  #url;
  #on;
  #source = null;
  #heard = performance.now();
  #opened = 0;
  #retryMs = RETRY_MIN_MS;
  #timer = 0;
  state = "connecting";

  /** `on`: { history(data), now(data), state(name) } */
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    this.#open();
    setInterval(() => this.#watch(), 1000);
  }

  /** Since anything was heard of the service. */
  get silentSeconds() {
    return (performance.now() - this.#heard) / 1000;
  }

  retry() {
    this.#retryMs = RETRY_MIN_MS;
    this.#open();
  }

  #open() {
    clearTimeout(this.#timer);
    this.#opened = performance.now();
    this.#source?.close();
    const source = new EventSource(this.#url);
    this.#source = source;
    source.addEventListener("history", (event) => this.#take("history", event));
    source.addEventListener("now", (event) => this.#take("now", event));
    source.addEventListener("error", () => {
      this.#become("lost");
      if (source.readyState === EventSource.CLOSED) this.#later();
    });
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), this.#retryMs * (0.75 + Math.random() / 2));
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
  }

  #take(kind, event) {
    let data;
    try {
      data = JSON.parse(event.data);
    } catch {
      return; // Not heard: silence makes it "lost".
    }
    if (data === null || typeof data !== "object") return;
    this.#heard = performance.now();
    this.#retryMs = RETRY_MIN_MS;
    this.#on[kind](data);
    this.#become("live");
  }

  #watch() {
    const silentMs = performance.now() - this.#heard;
    if (this.state !== "lost" && silentMs > SILENCE_MS) this.#become("lost");
    const hangs = Math.min(silentMs, performance.now() - this.#opened) > GIVE_UP_MS;
    if (hangs && this.#source.readyState !== EventSource.CLOSED) this.#open();
    this.#on.state(this.state);
  }

  #become(state) {
    this.state = state;
    this.#on.state(state);
  }
}
