// What the console does better with a script: search as you type, progress that moves,
// buttons that copy. Everything works without it. It talks to this server only.
"use strict";

(() => {
  const page = document.documentElement;
  page.classList.add("scripted");

  // Search as you type: the results of the search page, on the page that is open.
  const box = document.getElementById("q");
  if (box) {
    const onPage = document.getElementById("results");
    const results = onPage || document.createElement("div");
    const place = onPage || document.createElement("div");
    // It is there before it says anything: who hears the page is told of changes only.
    const status = document.createElement("p");
    status.setAttribute("role", "status");
    if (onPage) {
      onPage.before(status);
    } else {
      place.className = "found measure";
      place.setAttribute("role", "region");
      place.setAttribute("aria-label", "Found so far");
      place.hidden = true;
      place.append(status, results);
      box.closest("header").append(place);
    }
    let timer = 0;
    let asking = null;
    // The term that the results are of, and what was said of them.
    let shown = box.defaultValue.trim();
    const said = ["", "visually-hidden"];

    const say = (text, classes, busy) => {
      results.setAttribute("aria-busy", busy);
      status.className = classes;
      if (status.textContent !== text) {
        status.textContent = text;
      }
    };

    // What is of another term says so for as long as it stays.
    const old = () => (shown && results.hasChildNodes() ? " Below is still “" + shown + "”." : "");

    const made = (element, classes, ...content) => {
      const e = document.createElement(element);
      e.className = classes;
      e.append(...content);
      return e;
    };

    const show = (term, nodes) => {
      shown = term;
      results.replaceChildren(...nodes);
      said[0] = [...results.children].filter((n) => n.matches(".taken, .unknown-note")).map((n) => n.textContent).join(" ");
      say(...said, false);
      if (onPage) {
        document.querySelector("h1").replaceChildren("Search for ", made("span", "term", term));
        document.title = "Search for " + term + " · Tallyman";
        history.replaceState(null, "", "/search?" + new URLSearchParams({ q: term }));
      }
    };

    const search = async (term) => {
      asking = new AbortController();
      const { signal } = asking;
      let nodes = [made("p", "unknown-note", made("span", "state unknown", "Unknown"), " The search failed. Press Enter to ask again.")];
      try {
        const answer = await fetch("/search?" + new URLSearchParams({ q: term, part: "results" }), { signal, headers: { Accept: "text/html" } });
        // Parsed, not run: a parser of its own runs no script, and the policy forbids it.
        const { body } = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (answer.ok && !answer.redirected && body.querySelector(".taken")) {
          nodes = body.childNodes;
        }
      } catch {
        // Nothing came, which is what the note says.
      }
      if (!signal.aborted) {
        show(term, nodes);
      }
    };

    const stop = () => {
      clearTimeout(timer);
      asking?.abort();
    };

    const rest = () => {
      stop();
      place.hidden = !onPage;
      if (box.value.trim() === shown) {
        say(...said, false);
      } else {
        say("Not searched for yet." + old(), "taken", false);
      }
    };

    box.addEventListener("input", () => {
      const term = box.value.trim();
      if (term.length < 2) {
        rest();
        return;
      }
      stop();
      place.hidden = false;
      say("Searching…" + old(), "taken", true);
      timer = setTimeout(search, 200, term);
    });
    box.addEventListener("keydown", (e) => {
      if (e.key === "Escape") {
        rest();
      }
    });
    document.addEventListener("click", (e) => {
      if (!onPage && !e.target.closest("header")) {
        rest();
      }
    });
    // The slash leads to the box, as on many sites; not while somebody types elsewhere.
    document.addEventListener("keydown", (e) => {
      if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey && !e.target.closest("input, select, textarea, [contenteditable]")) {
        e.preventDefault();
        box.focus();
      }
    });
  }

  // Progress: the server renders it, and says when it changed.
  const live = document.querySelector("[data-live]");
  if (live && "EventSource" in window) {
    const source = new EventSource(live.dataset.live);
    const note = document.createElement("p");
    note.className = "live-note";
    note.setAttribute("role", "status");
    live.before(note);
    const say = (text, unknown) => {
      note.textContent = text;
      note.classList.toggle("is-unknown", unknown);
    };
    const put = (e) => {
      live.replaceChildren(...new DOMParser().parseFromString(e.data, "text/html").body.childNodes);
      say(live.querySelector("[data-says]")?.dataset.says || "Followed live", false);
    };
    source.addEventListener("jobs", put);
    source.addEventListener("ended", (e) => {
      source.close();
      put(e);
    });
    source.addEventListener("unknown", (e) => say(e.data, true));
    source.addEventListener("error", () => {
      say(source.readyState === EventSource.CLOSED ? "No longer followed: reload to see what changed" : "Connection lost; trying again", true);
    });
    addEventListener("pagehide", () => source.close());
  }

  // Copy.
  if (navigator.clipboard) {
    for (const paste of document.querySelectorAll("[data-copy]")) {
      const text = paste.querySelector("pre");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.setAttribute("aria-label", "Copy: " + (text.getAttribute("aria-label") || "text"));
      const said = document.createElement("span");
      said.className = "visually-hidden";
      said.setAttribute("role", "status");
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(text.textContent);
          button.textContent = "Copied";
          said.textContent = "Copied";
        } catch {
          button.textContent = "Select and copy";
          getSelection().selectAllChildren(text);
        }
        setTimeout(() => {
          button.textContent = "Copy";
          said.textContent = "";
        }, 2000);
      });
      paste.append(button, said);
    }
  }
})();
