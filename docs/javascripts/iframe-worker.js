// Browsers start no worker from file://. There, search gets a hidden frame that takes the place of one.
(() => {
  if (location.protocol !== "file:") return;

  class FrameWorker extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inner = frame.contentWindow;
      this.#inner = inner;
      inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inner.importScripts = (...urls) => Promise.all(urls.map((each) => this.#load(each)));
      this.#ready = this.#load(new URL(url, location.href).href);
    }

    postMessage(data) {
      this.#ready.then(() => this.#inner.dispatchEvent(new this.#inner.MessageEvent("message", { data })));
    }

    #load(url) {
      return new Promise((resolve, reject) => {
        const script = this.#inner.document.createElement("script");
        script.src = url;
        script.onload = resolve;
        script.onerror = reject;
        this.#inner.document.body.append(script);
      });
    }

    #inner;
    #ready;
  }

  window.Worker = FrameWorker;
  window.IFrameWorker = FrameWorker;
})();
