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
    let place = onPage;
    let timer = 0;
    let asking = null;

    const show = (fragment) => {
      if (!place) {
        place = document.createElement("div");
        place.className = "found measure";
        place.setAttribute("role", "region");
        place.setAttribute("aria-label", "Found so far");
        box.closest("header").append(place);
      }
      place.replaceChildren(...fragment.body.childNodes);
      place.hidden = false;
    };

    const hide = () => {
      if (place && !onPage) {
        place.hidden = true;
      }
    };

    const search = async () => {
      const term = box.value.trim();
      asking?.abort();
      if (term.length < 2) {
        hide();
        return;
      }
      asking = new AbortController();
      const address = "/search?" + new URLSearchParams({ q: term, part: "results" });
      try {
        const answer = await fetch(address, { signal: asking.signal, headers: { Accept: "text/html" } });
        if (!answer.ok || answer.redirected) {
          hide();
          return;
        }
        // Parsed, not run: a parser of its own runs no script, and the policy forbids it.
        show(new DOMParser().parseFromString(await answer.text(), "text/html"));
        if (onPage) {
          history.replaceState(null, "", "/search?" + new URLSearchParams({ q: term }));
        }
      } catch (e) {
        if (e.name !== "AbortError") {
          hide();
        }
      }
    };

    box.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(search, 200);
    });
    box.addEventListener("keydown", (e) => {
      if (e.key === "Escape") {
        clearTimeout(timer);
        asking?.abort();
        hide();
      }
    });
    document.addEventListener("click", (e) => {
      if (!e.target.closest("header")) {
        hide();
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
